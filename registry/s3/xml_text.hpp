// The little that lade reads of XML: the text of single elements in the answers of S3.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lade {

/// The text of the first element called `name`, with character references (XML 1.0, 4.1 and 4.6)
/// resolved; nullopt if there is none, it holds other elements, or a reference is none. Takes any
/// bytes.
std::optional<std::string> xml_text(std::string_view xml, std::string_view name);
/// `text` as it stands between tags.
std::string xml_escape(std::string_view text);

}  // namespace lade
