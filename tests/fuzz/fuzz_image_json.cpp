// Image configs, manifests and indexes of strangers: they parse or throw Error(corrupt), and what
// parsed once parses again from what lade writes, to the same bytes.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "snapshotter/content/image_config.hpp"
#include "snapshotter/content/manifest.hpp"

namespace {

using namespace lade;

/// `parse` of `text`, written out; parsing that again must give the same.
template <class Parse>
void round_trip(std::string_view text, const Parse& parse) {
  std::string written;
  try {
    written = parse(text).serialize();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) std::abort();
    return;
  }
  // An Error here would end the fuzzer: lade must read what it writes.
  if (parse(written).serialize() != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  round_trip(text, [](std::string_view bytes) { return ImageConfig::parse(bytes); });
  round_trip(text, [](std::string_view bytes) { return Manifest::parse(bytes, ""); });
  round_trip(text, [](std::string_view bytes) { return Index::parse(bytes, ""); });
  try {
    const Index index = Index::parse(text, media_type::kOciIndex);
    for (const char* platform : {"linux/amd64/v3", "linux/arm64/v9.4", "linux/arm/v7"}) {
      index.select(Platform::parse(platform));
    }
  } catch (const Error&) {
  }
  return 0;
}
