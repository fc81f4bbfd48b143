// Any bytes are the document of a shared cache or an Error(corrupt); what is read is written and
// read as the same.
#include <cstdint>
#include <cstdlib>

#include "base/error.hpp"
#include "snapshotter/content/cache_document.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto document = lade::CacheDocument::parse({reinterpret_cast<const char*>(data), size});
    const std::string text = document.serialize();
    if (lade::CacheDocument::parse(text).serialize() != text) std::abort();
  } catch (const lade::Error&) {
  }
  return 0;
}
