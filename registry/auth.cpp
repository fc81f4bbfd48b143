#include "registry/auth.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "snapshotter/content/json_reader.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxTokenBytes = 1u << 20;

/// Reads the pieces of a WWW-Authenticate header (RFC 7235, appendix C).
class ChallengeScanner {
 public:
  explicit ChallengeScanner(std::string_view text) : text_(text) {}

  bool at_end() {
    skip(" \t,");
    return text_.empty();
  }

  /// A scheme or a parameter's name; empty if something else stands here.
  std::string token() {
    const size_t end = std::min(text_.find_first_of(" \t,=\""), text_.size());
    std::string out = to_lower(text_.substr(0, end));
    text_.remove_prefix(end);
    return out;
  }

  /// "=value" or "=\"value\""; nullopt if no '=' follows.
  std::optional<std::string> value() {
    skip(" \t");
    if (!text_.starts_with('=')) return std::nullopt;
    text_.remove_prefix(1);
    skip(" \t");
    if (!text_.starts_with('"')) {
      const size_t end = std::min(text_.find_first_of(" \t,"), text_.size());
      std::string out(text_.substr(0, end));
      text_.remove_prefix(end);
      return out;
    }
    return quoted_string();
  }

  /// Steps over a character that belongs to nothing, so that the loop over the header ends.
  void skip_one() { text_.remove_prefix(std::min<size_t>(1, text_.size())); }

 private:
  void skip(std::string_view characters) {
    text_.remove_prefix(std::min(text_.find_first_not_of(characters), text_.size()));
  }

  std::string quoted_string() {
    std::string out;
    text_.remove_prefix(1);
    while (!text_.empty() && !text_.starts_with('"')) {
      if (text_.starts_with('\\') && text_.size() > 1) text_.remove_prefix(1);
      out += text_[0];
      text_.remove_prefix(1);
    }
    skip_one();
    return out;
  }

  std::string_view text_;
};

/// A token goes into a header line, so it may not end one.
bool is_sound_token(std::string_view token) {
  return !token.empty() &&
         std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::string token_url(const BearerChallenge& challenge) {
  std::string url = challenge.realm;
  char separator = url.find('?') == std::string::npos ? '?' : '&';
  for (const auto& [name, value] :
       {std::pair{"service", challenge.service}, std::pair{"scope", challenge.scope}}) {
    if (value.empty()) continue;
    url += fmt::format("{}{}={}", separator, name, url_encode(value));
    separator = '&';
  }
  return url;
}

std::string request_token(HttpClient& http, const std::string& url) {
  const auto response = http.send({url, HttpMethod::get, {"Accept: application/json"}, ""});
  if (response->status() != 200) {
    const std::string text = error_text(*response);
    throw Error(fmt::format("{} gave no token: it answered {}{}{}", url_origin(url),
                            response->status(), text.empty() ? "" : ": ", text));
  }
  const JsonDocument document(read_all(*response, kMaxTokenBytes, "the token"), kMaxTokenBytes,
                              "the token of " + url_origin(url));
  const JsonValue root = document.root();
  // Docker's name for it, and OAuth2's; they are the same if both are there.
  const JsonValue token = root["token"].present() ? root["token"] : root["access_token"];
  std::string out = token.string();
  if (!is_sound_token(out)) token.fail("has characters that no token has");
  return out;
}

}  // namespace

std::optional<BearerChallenge> parse_challenge(std::string_view header) {
  ChallengeScanner in(header);
  BearerChallenge out;
  bool bearer = false;
  while (!in.at_end()) {
    const std::string name = in.token();
    if (name.empty()) in.skip_one();
    const auto value = in.value();
    if (!value) {
      // No "=": a scheme, which begins the next challenge.
      if (bearer && !out.realm.empty()) break;
      bearer = name == "bearer";
      continue;
    }
    if (!bearer) continue;
    if (name == "realm") out.realm = *value;
    if (name == "service") out.service = *value;
    if (name == "scope") out.scope = *value;
  }
  if (out.realm.empty()) return std::nullopt;
  return out;
}

std::string TokenCache::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto token = tokens_.find(key);
  return token == tokens_.end() ? "" : token->second;
}

std::string TokenCache::fetch(HttpClient& http, const std::string& key,
                              const BearerChallenge& challenge, std::string_view registry_url) {
  const bool sound =
      challenge.realm.starts_with("https://") ||
      (challenge.realm.starts_with("http://") && registry_url.starts_with("http://"));
  if (!sound) {
    throw Error(fmt::format("{} asks for a token of {}, which is no https URL",
                            url_origin(registry_url), quoted(challenge.realm)));
  }
  const std::string authorization = "Bearer " + request_token(http, token_url(challenge));
  const std::lock_guard lock(mutex_);
  tokens_[key] = authorization;
  return authorization;
}

}  // namespace lade
