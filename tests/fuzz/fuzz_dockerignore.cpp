// A path and a file of patterns: what is taken back lies where directories are walked, and walking
// gives the same verdict as asking for the path. The first byte is the path's length.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/dockerignore.hpp"

namespace {

using namespace lade;

void walk(const parser::Dockerignore& ignore, const std::string& path) {
  PatternMatcher::Match verdict;
  bool above = false;
  for (size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const auto part = path.substr(0, end);
    verdict = ignore.matcher().match(part, above ? &verdict : nullptr);
    above = true;
    if (verdict.matched != ignore.excluded(part)) std::abort();
    // Pruning must never hide a path that is included.
    const bool pruned = verdict.matched && !ignore.may_contain_included(part);
    if (pruned && !ignore.excluded(path)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto length = std::min<size_t>(data[0] % 64, text.size());
  const auto path = clean_path(text.substr(0, length));
  try {
    const auto ignore = parser::Dockerignore::parse(text.substr(length), "fuzz");
    if (path != "." && !path.starts_with('/')) walk(ignore, path);
  } catch (const Error& error) {
    if (!error.range()) std::abort();
  }
  return 0;
}
