// Values of flags and directives.
#include <charconv>
#include <limits>
#include <tuple>

#include <boost/fusion/adapted/std_tuple.hpp>
#include <boost/spirit/home/x3.hpp>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/grammar.hpp"

namespace lade::parser {
namespace {

namespace x3 = boost::spirit::x3;
using x3::char_;
using x3::eoi;
using x3::lit;
using x3::matches;
using x3::omit;

// Boost's own classes assert on bytes above 0x7f.
const auto digit = char_('0', '9');
const auto alpha = char_('a', 'z') | char_('A', 'Z');

const auto space = omit[*char_("\t\n\f\r ")];

template <class Grammar, class... Attributes>
bool parse_all(std::string_view text, const Grammar& grammar, Attributes&... attributes) {
  auto at = text.begin();
  return x3::parse(at, text.end(), grammar >> eoi, attributes...);
}

struct Units : x3::symbols<int64_t> {
  Units() {
    add("ns", 1)("us", 1'000)("\u00b5s", 1'000)("\u03bcs", 1'000)("ms", 1'000'000);
    add("s", 1'000'000'000)("m", 60'000'000'000)("h", 3'600'000'000'000);
  }
};
const Units duration_unit;

struct Sizes : x3::symbols<int64_t> {
  Sizes() {
    add("b", 1);
    int64_t size = 1;
    for (const std::string prefix : {"k", "m", "g", "t", "p"}) {
      size *= 1024;
      add(prefix, size)(prefix + "b", size)(prefix + "ib", size);
    }
  }
};
const Sizes size_unit;

const struct Booleans : x3::symbols<bool> {
  Booleans() {
    for (const auto* word : {"1", "t", "T", "true", "TRUE", "True"}) add(word, true);
    for (const auto* word : {"0", "f", "F", "false", "FALSE", "False"}) add(word, false);
  }
} boolean_word;

constexpr auto kMaxDuration = std::numeric_limits<int64_t>::max();

// `whole`.`fraction` units, or nothing if that is more than 292 years.
std::optional<int64_t> component(std::string_view whole, std::string_view fraction, int64_t unit) {
  uint64_t count = 0;
  if (!whole.empty() &&
      std::from_chars(whole.data(), whole.data() + whole.size(), count).ec != std::errc()) {
    return std::nullopt;
  }
  if (count > static_cast<uint64_t>(kMaxDuration / unit)) return std::nullopt;
  const auto value = static_cast<int64_t>(count) * unit;
  // In Go's arithmetic, to the last nanosecond: as many digits as fit, scaled in floating point.
  int64_t digits = 0;
  double scale = 1;
  for (const char c : fraction) {
    if (digits > (kMaxDuration - 9) / 10) break;
    digits = digits * 10 + (c - '0');
    scale *= 10;
  }
  const auto part =
      static_cast<int64_t>(static_cast<double>(digits) * (static_cast<double>(unit) / scale));
  if (value > kMaxDuration - part) return std::nullopt;
  return value + part;
}

[[noreturn]] void bad_duration(std::string_view text, std::string_view why) {
  throw Error(fmt::format("invalid duration {}: {}", quoted(text), why));
}

}  // namespace

std::optional<DirectiveText> directive(std::string_view comment) {
  std::tuple<std::string, std::string> parts;
  const auto key = x3::rule<struct Key, std::string>{} = alpha >> *(alpha | digit);
  if (!parse_all(comment, space >> key >> space >> '=' >> space >> +char_, parts)) {
    return std::nullopt;
  }
  auto& [name, value] = parts;
  return DirectiveText{to_lower(name), std::string(trim(value))};
}

std::optional<HeredocText> heredoc_start(std::string_view text) {
  std::tuple<std::string, bool, std::string> parts;
  if (!parse_all(text, *digit >> "<<" >> matches['-'] >> space >> *(char_ - '<'), parts)) {
    return std::nullopt;
  }
  auto& [descriptor, strip_tabs, word] = parts;
  HeredocText heredoc{0, strip_tabs, std::move(word)};
  std::from_chars(descriptor.data(), descriptor.data() + descriptor.size(), heredoc.descriptor);
  return heredoc;
}

std::vector<std::string> csv_fields(std::string_view text) {
  if (text.empty()) throw Error("no value given");
  const auto quote = lit("\"\"") >> x3::attr('"');
  const auto inside = x3::rule<struct QuotedField, std::string>{} =
      '"' >> *(quote | (char_ - '"')) >> '"';
  const auto bare = x3::rule<struct BareField, std::string>{} = *(char_ - char_(",\""));
  std::vector<std::string> fields;
  if (!parse_all(text, (inside | bare) % ',', fields)) {
    throw Error(fmt::format("misplaced quote in {}", quoted(text)));
  }
  return fields;
}

std::optional<bool> boolean(std::string_view text) {
  bool value = false;
  if (!parse_all(text, boolean_word, value)) return std::nullopt;
  return value;
}

std::chrono::nanoseconds duration(std::string_view text) {
  auto digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits == "0") return {};
  if (digits.empty()) bad_duration(text, "no digits");
  const auto number = x3::rule<struct Number, std::tuple<std::string, std::string>>{} =
      &(-lit('.') >> digit) >> *digit >> -('.' >> *digit);
  std::chrono::nanoseconds total{0};
  for (auto at = digits.begin(); at != digits.end();) {
    std::tuple<std::string, std::string> parts;
    if (!x3::parse(at, digits.end(), number, parts)) bad_duration(text, "digits expected");
    std::string unit;
    x3::parse(at, digits.end(), *(char_ - digit - '.'), unit);
    if (unit.empty()) bad_duration(text, "missing unit");
    int64_t scale = 0;
    if (!parse_all(unit, duration_unit, scale)) {
      bad_duration(text, fmt::format("unknown unit {}", quoted(unit)));
    }
    const auto value = component(std::get<0>(parts), std::get<1>(parts), scale);
    if (!value || *value > kMaxDuration - total.count()) bad_duration(text, "too large");
    total += std::chrono::nanoseconds(*value);
  }
  return negative ? -total : total;
}

std::optional<int64_t> byte_size(std::string_view text) {
  std::string number;
  int64_t unit = 1;
  auto at = text.begin();
  x3::parse(at, text.end(), +(digit | char_('.')) >> omit[-lit(' ')], number);
  const std::string_view rest(at, static_cast<size_t>(text.end() - at));
  if (!rest.empty() && !parse_all(rest, x3::no_case[size_unit], unit)) return std::nullopt;
  double size = 0;
  const auto end = number.data() + number.size();
  if (const auto result = std::from_chars(number.data(), end, size);
      result.ec != std::errc() || result.ptr != end) {
    return std::nullopt;
  }
  size *= static_cast<double>(unit);
  if (size >= 0x1p63) return std::nullopt;
  return static_cast<int64_t>(size);
}

}  // namespace lade::parser
