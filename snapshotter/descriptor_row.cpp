#include "snapshotter/descriptor_row.hpp"

#include "base/error.hpp"
#include "snapshotter/content/json_reader.hpp"
#include "snapshotter/content/json_writer.hpp"

namespace lade {

std::string descriptor_text(const Descriptor& descriptor) {
  JsonWriter out;
  write_json(out, descriptor);
  return out.take();
}

Descriptor parse_descriptor(const std::string& text) {
  return with_context("the state database holds a damaged descriptor", [&] {
    const JsonDocument document(text, text.size(), "descriptor");
    return read_descriptor(document.root());
  });
}

}  // namespace lade
