// What names remote sources, and what web servers say of files: git references, URLs, dates, file
// names. What is taken for a git reference must not look like an option to git.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "solver/lower/remote.hpp"
#include "solver/source/http_validators.hpp"

namespace {

using namespace lade;

void check_git(std::string_view text) {
  try {
    const auto reference = parse_git_reference(text);
    if (!reference) return;
    const SourceOp op = git_source(*reference);
    if (reference->ref.starts_with('-')) std::abort();
    if (reference->remote.empty() ||
        redact_url(redact_url(reference->remote)) != redact_url(reference->remote))
      std::abort();
    source_text(op);
  } catch (const Error&) {
  }
}

void check_file_name(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_git(text);
  check_file_name(http_file_name(text));
  check_file_name(safe_file_name(disposition_file_name(text)));
  parse_http_date(std::string(text));
  return 0;
}
