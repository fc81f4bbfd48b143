#include "snapshotter/content/descriptor_row.hpp"

#include "base/database.hpp"
#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/json/json_writer.hpp"

namespace lade {

std::string descriptor_text(const Descriptor& descriptor) {
  JsonWriter out;
  write_json(out, descriptor);
  return out.take();
}

Descriptor parse_descriptor(const std::string& text) {
  try {
    const JsonDocument document(text, text.size(), "descriptor");
    return read_descriptor(document.root());
  } catch (const Error& cause) {
    Error error("the state database holds a damaged descriptor: " + cause.message(),
                ErrorKind::corrupt);
    error.set_hint(kDamagedDatabaseHint);
    throw error;
  }
}

std::optional<Descriptor> try_parse_descriptor(const std::string& text) {
  try {
    return parse_descriptor(text);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace lade
