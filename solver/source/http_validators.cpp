#include "solver/source/http_validators.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "solver/lower/remote.hpp"

namespace lade {
namespace {

constexpr std::string_view kValidatorSchema =
    "CREATE TABLE IF NOT EXISTS http_versions("
    "request BLOB PRIMARY KEY, etag TEXT NOT NULL, last_modified TEXT NOT NULL, "
    "time_is_strong INTEGER NOT NULL, file_name TEXT NOT NULL, content BLOB NOT NULL) "
    "WITHOUT ROWID";

/// The next parameter of "type; name=value; name=\"value\""; false at the end.
bool next_parameter(std::string_view& rest, std::string& name, std::string& value) {
  const auto semicolon = rest.find(';');
  if (semicolon == std::string_view::npos) return false;
  rest = trim(rest.substr(semicolon + 1));
  const auto equals = rest.find_first_of("=;");
  name = to_lower(trim(rest.substr(0, equals)));
  value.clear();
  if (equals == std::string_view::npos || rest[equals] == ';') return true;
  rest = trim(rest.substr(equals + 1));
  if (!rest.starts_with('"')) {
    value = trim(rest.substr(0, rest.find(';')));
    return true;
  }
  size_t i = 1;
  for (; i < rest.size() && rest[i] != '"'; ++i) {
    if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
    value += rest[i];
  }
  rest = rest.substr(std::min(i + 1, rest.size()));
  return true;
}

}  // namespace

HttpValidators::HttpValidators(Database& database) : database_(database) {
  const auto lock = database_.lock();
  const bool there =
      database_.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'http_versions'").step();
  if (!there) database_.transaction([&] { database_.execute(std::string(kValidatorSchema)); });
}

std::optional<HttpVersion> HttpValidators::find(const Digest& request) {
  const auto lock = database_.lock();
  auto row = database_.prepare(
      "SELECT etag, last_modified, time_is_strong, file_name, content FROM http_versions "
      "WHERE request = ?");
  if (!row.bind(request).step()) return std::nullopt;
  HttpVersion version;
  version.etag = row.text(0);
  version.last_modified = row.text(1);
  version.time_is_strong = row.integer(2) != 0;
  version.file_name = row.text(3);
  try {
    version.content = row.digest(4);
  } catch (const Error&) {
    return std::nullopt;  // damaged: the server is asked as if it were new
  }
  return version;
}

void HttpValidators::put(const Digest& request, const HttpVersion& version) {
  database_.transaction([&] {
    if (!version.can_be_asked_for()) {
      database_.prepare("DELETE FROM http_versions WHERE request = ?").bind(request).run();
      return;
    }
    auto insert = database_.prepare(
        "INSERT OR REPLACE INTO http_versions(request, etag, last_modified, time_is_strong, "
        "file_name, content) VALUES(?, ?, ?, ?, ?, ?)");
    insert.bind(request).bind(version.etag).bind(version.last_modified);
    insert.bind(int64_t{version.time_is_strong}).bind(version.file_name).bind(version.content);
    insert.run();
  });
}

HttpVersion HttpValidators::of(const HttpResponse& response, const Digest& content) {
  HttpVersion version;
  version.etag = response.header("etag");
  version.last_modified = response.header("last-modified");
  version.file_name = disposition_file_name(response.header("content-disposition"));
  version.content = content;
  // RFC 9110, 8.8.2.2: a file that changed in the second in which it was sent may change again.
  const auto modified = parse_http_date(version.last_modified);
  const auto sent = parse_http_date(response.header("date"));
  version.time_is_strong = modified && sent && *modified < *sent;
  return version;
}

bool HttpValidators::same_etag(std::string_view a, std::string_view b) {
  if (a.starts_with("W/")) a.remove_prefix(2);
  if (b.starts_with("W/")) b.remove_prefix(2);
  return !a.empty() && a == b;
}

std::string disposition_file_name(std::string_view field) {
  std::string plain;
  std::string extended;
  std::string name;
  std::string value;
  while (next_parameter(field, name, value)) {
    if (name == "filename") plain = value;
    if (name != "filename*" || !to_lower(value).starts_with("utf-8'")) continue;
    const auto quote = value.find('\'', 6);
    if (quote != std::string::npos) {
      extended = percent_decode(std::string_view(value).substr(quote + 1)).value_or("");
    }
  }
  const std::string& chosen = extended.empty() ? plain : extended;
  if (chosen.empty() || chosen.ends_with('/')) return {};
  return base_name(chosen);
}

}  // namespace lade
