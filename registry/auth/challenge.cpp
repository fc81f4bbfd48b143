#include "registry/auth/challenge.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace lade {
namespace {

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

/// "repository:app:pull" -> "repository:app", "pull"; the name may have a port in it.
std::pair<std::string, std::string> split_scope(const std::string& scope) {
  const size_t colon = scope.rfind(':');
  if (colon == std::string::npos) return {scope, ""};
  return {scope.substr(0, colon), scope.substr(colon + 1)};
}

}  // namespace

Challenges parse_challenges(std::string_view header) {
  ChallengeScanner in(header);
  Challenges out;
  BearerChallenge bearer;
  bool in_bearer = false;
  const auto end_challenge = [&] {
    if (in_bearer && !bearer.realm.empty() && !out.bearer) out.bearer = bearer;
    bearer = {};
  };
  while (!in.at_end()) {
    const std::string name = in.token();
    if (name.empty()) in.skip_one();
    const auto value = in.value();
    if (!value) {
      // No "=": a scheme, which begins the next challenge.
      end_challenge();
      in_bearer = name == "bearer";
      out.basic = out.basic || name == "basic";
      continue;
    }
    if (!in_bearer) continue;
    if (name == "realm") bearer.realm = *value;
    if (name == "service") bearer.service = *value;
    if (name == "scope") bearer.scope = *value;
  }
  end_challenge();
  return out;
}

std::vector<std::string> merge_scopes(const std::vector<std::string>& scopes) {
  std::vector<std::pair<std::string, std::vector<std::string>>> merged;
  for (const auto& scope : scopes) {
    const auto [resource, actions] = split_scope(scope);
    auto at = std::find_if(merged.begin(), merged.end(),
                           [&](const auto& known) { return known.first == resource; });
    if (at == merged.end()) at = merged.insert(merged.end(), {resource, {}});
    for (auto& action : split(actions, ',')) {
      auto& known = at->second;
      if (std::find(known.begin(), known.end(), action) == known.end()) {
        known.push_back(std::move(action));
      }
    }
  }
  std::vector<std::string> out;
  for (const auto& [resource, actions] : merged) out.push_back(resource + ":" + join(actions, ","));
  return out;
}

}  // namespace lade
