// The image config that a frontend hands over: it parses or is an Error, and what parsed is written
// as a config that parses to the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.hpp"
#include "daemon/build/exports.hpp"
#include "snapshotter/content/image_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string written;
  try {
    written = lade::config_of_frontend(std::string(reinterpret_cast<const char*>(data), size))
                  .serialize();
  } catch (const lade::Error&) {
    return 0;
  }
  // An Error here would end the fuzzer: lade must read what it writes.
  if (lade::ImageConfig::parse(written).serialize() != written) std::abort();
  return 0;
}
