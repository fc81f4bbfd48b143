// Keywords, flags and words.
//
// The rules work on bytes: multi-byte characters pass through as ordinary ones, and the few that
// are blanks are spelled out.
#include <boost/spirit/home/x3.hpp>

#include "parser/grammar.hpp"
#include "parser/unicode.hpp"

namespace lade::parser {
namespace {

namespace x3 = boost::spirit::x3;
using x3::char_;
using x3::eoi;
using x3::lit;
using x3::omit;
using x3::raw;

// What separates a keyword from its arguments, and the arguments of FROM, COPY, EXPOSE...
const auto separator = char_("\t\v\f\r ");

// Go's unicode.IsSpace, which ends flags and quoted words.
const auto blank = omit[char_("\t\n\v\f\r ") | lit("\xc2\x85") | lit("\xc2\xa0") |
                        lit("\xe1\x9a\x80") | lit("\xe2\x80") >> char_("\x80-\x8a\xa8\xa9\xaf") |
                        lit("\xe2\x81\x9f") | lit("\xe3\x80\x80")];

// Semantic actions that build a word piece by piece; pieces without one are dropped.
const auto append_char = [](const auto& context) { x3::_val(context) += x3::_attr(context); };
const auto append_range = [](const auto& context) {
  const auto& range = x3::_attr(context);
  x3::_val(context).append(range.begin(), range.end());
};

// A word with its quotes and escapes resolved. An escape works inside either kind of quotes, and is
// dropped as the last character.
auto resolved_word(char escape) {
  const auto escaped = lit(escape) >> char_[append_char];
  const auto dangling = lit(escape) >> eoi;
  const auto inside = [=](char quote) {
    return lit(quote) >> *(escaped | (char_ - lit(quote) - lit(escape))[append_char]) >>
           -(lit(quote) | dangling);
  };
  const auto plain = (char_ - blank - lit(escape))[append_char];
  return x3::rule<struct ResolvedWord, std::string>{} =
             +(inside('"') | inside('\'') | escaped | dangling | plain);
}

// A word as it stands. An escape as the last character is dropped, except inside single quotes,
// where it escapes nothing.
auto kept_word(char escape) {
  const auto pair = lit(escape) >> char_;
  const auto dangling = lit(escape) >> eoi;
  const auto single = raw['\'' >> *(char_ - '\'') >> -lit('\'')][append_range];
  const auto twofold = raw['"' >> *(pair | (char_ - '"' - lit(escape)))][append_range] >>
                       -(raw[lit('"')][append_range] | dangling);
  const auto plain = raw[+(char_ - blank - char_("'\"") - lit(escape))][append_range];
  return x3::rule<struct KeptWord, std::string>{} =
             +(single | twofold | raw[pair][append_range] | dangling | plain);
}

std::string_view view(std::string_view::const_iterator begin,
                      std::string_view::const_iterator end) {
  return {begin, static_cast<size_t>(end - begin)};
}

}  // namespace

CommandText split_command(std::string_view line, char escape) {
  line = trim_space(line);
  auto at = line.begin();
  CommandText command;
  x3::parse(at, line.end(), *(char_ - separator) >> omit[*separator], command.keyword);
  const auto flag = omit[*blank] >> &lit("--") >> resolved_word(escape);
  for (std::string word; x3::parse(at, line.end(), flag, word); word.clear()) {
    if (word == "--") break;
    command.flags.push_back(std::move(word));
  }
  command.rest = trim_space(view(at, line.end()));
  return command;
}

std::vector<std::string> blank_separated(std::string_view text) {
  std::vector<std::string> words;
  auto at = text.begin();
  x3::parse(at, text.end(), omit[*separator] >> *(+(char_ - separator) >> omit[*separator]), words);
  return words;
}

std::vector<std::string> quoted_words(std::string_view text, char escape) {
  std::vector<std::string> words;
  auto at = text.begin();
  const auto word = omit[*blank] >> kept_word(escape);
  for (std::string next; x3::parse(at, text.end(), word, next); next.clear()) {
    if (!next.empty()) words.push_back(std::move(next));
  }
  return words;
}

}  // namespace lade::parser
