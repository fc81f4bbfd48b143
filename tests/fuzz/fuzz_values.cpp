// Values of flags and options: what is not one fails with an Error. The first byte chooses which.
#include <cstdint>
#include <cstdlib>

#include "base/error.hpp"
#include "parser/grammar.hpp"
#include "parser/mount.hpp"
#include "snapshotter/content/descriptor.hpp"
#include "snapshotter/content/image_config.hpp"

namespace {

using namespace lade;

void read_mount(std::string_view text) {
  parser::RunMount mount{std::string(text), {}, {}};
  for (const auto& field : parser::csv_fields(text)) {
    const auto equals = field.find('=');
    parser::MountField made{field.substr(0, equals), {}};
    if (equals != std::string::npos) made.value = field.substr(equals + 1);
    mount.fields.push_back(std::move(made));
  }
  parser::resolve_mount(mount, [](std::string_view word) { return std::string(word); });
}

void read_value(uint8_t which, std::string_view text) {
  switch (which % 8) {
    case 0:
      return read_mount(text);
    case 1:
      parser::duration(text);
      return;
    case 2:
      parser::byte_size(text);
      return;
    case 3:
      parser::boolean(text);
      return;
    case 4:
      parser::exec_form(text);
      return;
    case 5:
      parser::heredoc_start(text);
      return;
    case 6:
      // What it says of itself is read as the same.
      if (const Platform platform = Platform::parse(text);
          Platform::parse(platform.str()).str() != platform.str()) {
        std::abort();
      }
      return;
    default:
      if (const auto time = Timestamp::parse(text); time && Timestamp::parse(time->str()) != time) {
        std::abort();
      }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  try {
    read_value(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const Error&) {
  }
  return 0;
}
