// Names that users and Dockerfiles write: references, platforms and times. What parses is in its
// normal form afterwards: parsing that gives itself.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "snapshotter/content/image_config.hpp"
#include "snapshotter/content/reference.hpp"

namespace {

using namespace lade;

template <class Parse>
void check_normal_form(std::string_view text, const Parse& parse) {
  std::string normal;
  try {
    normal = parse(text).str();
  } catch (const Error&) {
    return;
  }
  if (parse(normal).str() != normal) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_normal_form(text, [](std::string_view name) { return Reference::parse(name); });
  check_normal_form(text, [](std::string_view name) { return Platform::parse(name); });
  if (const auto time = Timestamp::parse(text)) {
    // An offset may carry the year 9999 or 0 out of what RFC 3339 can say.
    const auto again = Timestamp::parse(time->str());
    if (again && *again != *time) std::abort();
  }
  return 0;
}
