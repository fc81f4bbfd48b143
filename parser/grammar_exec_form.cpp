// Exec form: a JSON array of strings.
#include <boost/spirit/home/x3.hpp>
#include <nlohmann/json.hpp>

#include "base/append_utf8.hpp"
#include "base/error.hpp"
#include "base/utf8.hpp"
#include "parser/grammar.hpp"
#include "parser/unicode.hpp"

namespace lade::parser {
namespace {

namespace x3 = boost::spirit::x3;
using x3::char_;
using x3::lit;

constexpr char32_t kReplacement = 0xfffd;

// JSON is UTF-8 by definition; what is not becomes U+FFFD, as in the image config later on.
std::string valid_utf8(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const auto c = decode_utf8(text, at);
    append_utf8(out, c.code >= kInvalidByte ? kReplacement : c.code);
    at += c.size;
  }
  return out;
}

const auto append_byte = [](const auto& context) { x3::_val(context) += x3::_attr(context); };
const auto append_code = [](const auto& context) {
  append_utf8(x3::_val(context), static_cast<char32_t>(x3::_attr(context)));
};
const auto append_replacement = [](const auto& context) {
  append_utf8(x3::_val(context), kReplacement);
};
const auto append_pair = [](const auto& context) {
  const auto& [high, low] = std::pair(boost::fusion::at_c<0>(x3::_attr(context)),
                                      boost::fusion::at_c<1>(x3::_attr(context)));
  append_utf8(x3::_val(context),
              static_cast<char32_t>(0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff)));
};

const struct Escapes : x3::symbols<char> {
  Escapes() {
    add("\"", '"')("\\", '\\')("/", '/')("b", '\b')("f", '\f')("n", '\n')("r", '\r')("t", '\t');
  }
} simple_escape;

const x3::uint_parser<unsigned, 16, 4, 4> hex4;

// A \u escape in [low, high].
auto code_in(unsigned low, unsigned high) {
  const auto check = [low, high](const auto& context) {
    const unsigned code = x3::_attr(context);
    x3::_pass(context) = low <= code && code <= high;
    x3::_val(context) = code;
  };
  return x3::rule<struct CodeInRange, unsigned>{} = (lit("\\u") >> hex4)[check];
}

const auto json_space = x3::omit[*char_(" \t\r\n")];

const auto string_rule = x3::rule<struct JsonString, std::string>{} =
    lit('"') >> *((code_in(0xd800, 0xdbff) >> code_in(0xdc00, 0xdfff))[append_pair] |
                  code_in(0xd800, 0xdfff)[append_replacement] | (lit("\\u") >> hex4)[append_code] |
                  (lit('\\') >> simple_escape)[append_byte] |
                  (char_ - char_('\0', '\x1f') - lit('"') - lit('\\'))[append_byte]) >>
    lit('"');

const auto string_array = lit('[') >> json_space >>
                          -((string_rule >> json_space) % (lit(',') >> json_space)) >>
                          lit(']') >> json_space;

}  // namespace

std::optional<std::vector<std::string>> exec_form(std::string_view text) {
  text = trim_space_left(text);
  if (!text.starts_with('[')) return std::nullopt;
  const auto json = valid_utf8(text);
  std::vector<std::string> words;
  auto at = json.begin();
  if (x3::parse(at, json.end(), string_array, words) && at == json.end()) return words;
  // Shell commands begin with "[" too. Only what is JSON after all was meant as exec form.
  if (!nlohmann::json::accept(json)) return std::nullopt;
  throw Error("when using JSON array syntax, arrays must be comprised of strings only");
}

}  // namespace lade::parser
