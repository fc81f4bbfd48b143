#include "registry/s3/xml_text.hpp"

#include <array>
#include <charconv>
#include <utility>

#include "base/append_utf8.hpp"

namespace lade {
namespace {

constexpr std::array<std::pair<std::string_view, char>, 5> kEntities = {
    {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}}};

/// "#65" or "#x41": the character's number; nullopt for what is none in XML.
std::optional<uint32_t> character_number(std::string_view reference) {
  reference.remove_prefix(1);
  int base = 10;
  if (reference.starts_with('x')) {
    base = 16;
    reference.remove_prefix(1);
  }
  uint32_t code = 0;
  const char* end = reference.data() + reference.size();
  const auto [stop, error] = std::from_chars(reference.data(), end, code, base);
  const bool is_character = code != 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  if (error != std::errc() || stop != end || !is_character) return std::nullopt;
  return code;
}

bool resolve(std::string_view reference, std::string& out) {
  if (reference.starts_with('#')) {
    const auto code = character_number(reference);
    if (code) append_utf8(out, *code);
    return code.has_value();
  }
  for (const auto& [name, character] : kEntities) {
    if (name != reference) continue;
    out += character;
    return true;
  }
  return false;
}

}  // namespace

std::optional<std::string> xml_text(std::string_view xml, std::string_view name) {
  const std::string open = "<" + std::string(name);
  const std::string close = "</" + std::string(name);
  size_t at = 0;
  for (;; ++at) {
    at = xml.find(open, at);
    if (at == std::string_view::npos) return std::nullopt;
    const size_t after = at + open.size();
    // "<Code" is no "<CodeName".
    if (after < xml.size() && (xml[after] == '>' || xml[after] == ' ')) break;
  }
  const size_t begin = xml.find('>', at);
  if (begin == std::string_view::npos) return std::nullopt;
  const size_t end = xml.find('<', begin);
  if (end == std::string_view::npos || !xml.substr(end).starts_with(close)) return std::nullopt;

  std::string out;
  std::string_view text = xml.substr(begin + 1, end - begin - 1);
  while (!text.empty()) {
    const size_t reference = text.find('&');
    out += text.substr(0, reference);
    if (reference == std::string_view::npos) break;
    const size_t stop = text.find(';', reference);
    if (stop == std::string_view::npos) return std::nullopt;
    if (!resolve(text.substr(reference + 1, stop - reference - 1), out)) return std::nullopt;
    text.remove_prefix(stop + 1);
  }
  return out;
}

std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    bool is_special = false;
    for (const auto& [name, character] : kEntities) {
      if (character != c) continue;
      out += "&" + std::string(name) + ";";
      is_special = true;
    }
    if (!is_special) out += c;
  }
  return out;
}

}  // namespace lade
