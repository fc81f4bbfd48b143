// The answers of an S3 server, and the files of the aws command: any bytes are read without harm,
// and what is escaped is read as it was.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "registry/s3/aws_config.hpp"
#include "registry/s3/xml_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const char* name : {"Code", "UploadId"}) {
    const auto found = lade::xml_text(text, name);
    // Each reference stands for less than it takes, but for those of four bytes: "&#9;" and the
    // like.
    if (found && found->size() > size) std::abort();
  }
  if (lade::xml_text("<Code>" + lade::xml_escape(text) + "</Code>", "Code") != text) std::abort();
  for (const auto& [section, values] : lade::parse_ini(text)) {
    for (const auto& [key, value] : values) {
      if (key.size() + value.size() + section.size() > size) std::abort();
    }
  }
  return 0;
}
