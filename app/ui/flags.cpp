#include "app/ui/flags.hpp"

namespace lade {

Reference parse_image_argument(const std::string& text) {
  try {
    return Reference::parse(text);
  } catch (Error& error) {
    error.set_kind(ErrorKind::usage);
    throw;
  }
}

Reference parse_new_name(const std::string& text, const char* no_digest) {
  Reference name = parse_image_argument(text);
  if (name.digest) throw_usage(no_digest);
  return name;
}

}  // namespace lade
