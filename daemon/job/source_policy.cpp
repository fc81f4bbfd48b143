#include "daemon/job/source_policy.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>
#include <re2/re2.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "daemon/proto/ops.pb.h"
#include "daemon/proto/policy.pb.h"
#include "daemon/proto/policysession.pb.h"
#include "daemon/session/session_calls.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

namespace policy_api = moby::buildkit::v1::sourcepolicy;

constexpr int kMaxRewrites = 20;
constexpr int kMaxQuestions = 10;
constexpr std::string_view kDockerImage = "docker-image://";

/// Which identifiers a selector means, and what its groups matched. Patterns are Go's, whose
/// library RE2 is the model of.
class SelectorMatch {
 public:
  SelectorMatch(const policy_api::Selector& selector, const std::string& identifier)
      : exact_(selector.match_type() == policy_api::EXACT) {
    if (selector.match_type() != policy_api::EXACT) {
      pattern_ = std::make_unique<RE2>(selector.match_type() == policy_api::REGEX
                                           ? selector.identifier()
                                           : wildcard(selector.identifier()),
                                       RE2::Quiet);
      if (!pattern_->ok()) {
        throw Error(fmt::format("invalid pattern {} in a source policy: {}",
                                lade::quoted(selector.identifier()), pattern_->error()));
      }
      groups_.resize(static_cast<size_t>(pattern_->NumberOfCapturingGroups()) + 1);
      found_ = pattern_->Match(identifier, 0, identifier.size(), RE2::UNANCHORED, groups_.data(),
                               static_cast<int>(groups_.size()));
    }
    matches_ = identifier == selector.identifier() || found_;
    whole_ = identifier;
    replaced_all_ = selector.match_type() == policy_api::REGEX;
  }

  bool matches() const { return matches_; }

  /// `text` with "$1", "${name}" and "$$" filled in.
  std::string format(const std::string& text) const {
    if (exact_) return text;
    if (!found_) return whole_;
    const std::string filled = fill_in(text);
    if (!replaced_all_) return filled;
    // A pattern need not cover all of it: each match is replaced, the rest stays.
    std::string out;
    size_t at = 0;
    std::vector<re2::StringPiece> groups(groups_.size());
    while (at <= whole_.size() && pattern_->Match(whole_, at, whole_.size(), RE2::UNANCHORED,
                                                  groups.data(), static_cast<int>(groups.size()))) {
      const auto begin = static_cast<size_t>(groups[0].data() - whole_.data());
      out += whole_.substr(at, begin - at) + fill_in(text, groups);
      at = begin + groups[0].size();
      if (groups[0].empty()) {
        if (at < whole_.size()) out += whole_[at];
        ++at;
      }
    }
    return at < whole_.size() ? out + whole_.substr(at) : out;
  }

 private:
  static std::string wildcard(const std::string& text) {
    std::string out = "^";
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '*') {
        out += RE2::QuoteMeta(text.substr(i, 1));
        continue;
      }
      if (text.substr(i, 2) == "**") throw Error("invalid wildcard: \"**\"");
      out += "(.*)";
    }
    return out + "$";
  }

  std::string fill_in(const std::string& text) const { return fill_in(text, groups_); }

  std::string fill_in(const std::string& text, const std::vector<re2::StringPiece>& groups) const {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '$' || i + 1 == text.size()) {
        out += text[i];
        continue;
      }
      if (text[i + 1] == '$') {
        out += '$';
        ++i;
        continue;
      }
      const bool braces = text[i + 1] == '{';
      const size_t begin = i + (braces ? 2 : 1);
      size_t end = begin;
      while (end < text.size() &&
             (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_')) {
        ++end;
      }
      if (end == begin || (braces && (end == text.size() || text[end] != '}'))) {
        out += text[i];
        continue;
      }
      out += group(text.substr(begin, end - begin), groups);
      i = braces ? end : end - 1;
    }
    return out;
  }

  std::string group(const std::string& name, const std::vector<re2::StringPiece>& groups) const {
    size_t number = groups.size();
    if (name.find_first_not_of("0123456789") == std::string::npos && name.size() < 4) {
      number = std::stoul(name);
    } else {
      const auto& names = pattern_->NamedCapturingGroups();
      const auto known = names.find(name);
      if (known != names.end()) number = static_cast<size_t>(known->second);
    }
    return number < groups.size() ? std::string(groups[number]) : std::string();
  }

  bool exact_;
  bool found_ = false;
  bool matches_ = false;
  bool replaced_all_ = false;
  std::string whole_;
  std::unique_ptr<RE2> pattern_;
  std::vector<re2::StringPiece> groups_;
};

bool fulfilled(const policy_api::AttrConstraint& constraint, const pb::SourceOp& source) {
  const auto found = source.attrs().find(constraint.key());
  const std::string value = found == source.attrs().end() ? "" : found->second;
  switch (constraint.condition()) {
    case policy_api::EQUAL:
      return value == constraint.value();
    case policy_api::NOTEQUAL:
      return value != constraint.value();
    case policy_api::MATCHES: {
      const RE2 pattern(constraint.value(), RE2::Quiet);
      if (!pattern.ok()) throw Error("invalid regex " + lade::quoted(constraint.value()));
      return RE2::PartialMatch(value, pattern);
    }
    default:
      throw Error("a source policy has a condition of no known kind");
  }
}

bool convert(const policy_api::Rule& rule, const SelectorMatch& match, pb::SourceOp& source) {
  if (!rule.has_updates()) throw Error("a rule that converts does not say into what");
  const auto& updates = rule.updates();
  const std::string identifier = match.format(
      updates.identifier().empty() ? rule.selector().identifier() : updates.identifier());
  bool changed = false;
  if (!identifier.empty() && identifier != source.identifier()) {
    source.set_identifier(identifier);
    changed = true;
  }
  for (const auto& [name, value] : updates.attrs()) {
    std::string& now = (*source.mutable_attrs())[name];
    changed = changed || now != value;
    now = value;
  }
  return changed;
}

/// The first policy that rewrites ends it.
bool apply_policy(const policy_api::Policy& policy, pb::SourceOp& source) {
  bool denied = false;
  const std::string identifier = source.identifier();
  for (const auto& rule : policy.rules()) {
    const auto& constraints = rule.selector().constraints();
    const bool fits = std::all_of(constraints.begin(), constraints.end(),
                                  [&](const auto& one) { return fulfilled(one, source); });
    if (!fits) continue;
    const SelectorMatch match(rule.selector(), identifier);
    if (!match.matches()) continue;
    switch (rule.action()) {
      case policy_api::ALLOW:
        denied = false;
        break;
      case policy_api::DENY:
        denied = true;
        break;
      case policy_api::CONVERT:
        if (convert(rule, match, source)) return true;
        break;
      default:
        throw Error("a source policy has a rule of no known kind");
    }
  }
  if (denied) throw Error(fmt::format("source \"{}\" denied by policy", identifier));
  return false;
}

}  // namespace

void SourcePolicies::add(const policy_api::Policy& policy) {
  for (const auto& rule : policy.rules()) {
    if (!rule.has_selector()) throw Error("a rule of the source policy says nothing of sources");
  }
  if (policy.rules_size() > 0) policies_.push_back(std::make_shared<policy_api::Policy>(policy));
}

void SourcePolicies::ask(std::shared_ptr<SessionCalls> session, Describe describe) {
  session_ = std::move(session);
  describe_ = std::move(describe);
}

bool SourcePolicies::apply_rules(pb::SourceOp& source) const {
  for (int round = 0;; ++round) {
    bool changed = false;
    for (const auto& policy : policies_) {
      changed = apply_policy(*policy, source);
      if (changed) break;
    }
    if (!changed) return round > 0;
    if (round == kMaxRewrites) throw Error("too many mutations on a single source");
  }
}

bool SourcePolicies::ask_client(pb::SourceOp& source, const std::string& platform, int left) const {
  policy_api::policysession::CheckPolicyRequest request;
  const Platform of = platform.empty() ? Platform::host() : Platform::parse(platform);
  request.mutable_platform()->set_os(of.os);
  request.mutable_platform()->set_architecture(of.architecture);
  request.mutable_platform()->set_variant(of.variant);
  *request.mutable_source()->mutable_source() = source;
  for (; left > 0; --left) {
    const auto response = session_->check_policy(request);
    if (response.has_request()) {
      const auto& wanted = response.request();
      if (wanted.source().identifier() != source.identifier()) {
        throw Error("the policy asks about another source than it was asked about");
      }
      *request.mutable_source() = describe_(wanted);
      continue;
    }
    if (!response.has_decision()) throw Error("the client's policy decides nothing");
    const auto& decision = response.decision();
    if (decision.action() == policy_api::ALLOW) return false;
    if (decision.action() == policy_api::CONVERT) {
      if (!decision.has_update()) throw Error("a policy converts, but does not say into what");
      source = decision.update();
      apply_rules(source);
      ask_client(source, platform, left - 1);
      return true;
    }
    std::string why;
    for (const auto& message : decision.denymessages()) why += ": " + message.message();
    throw Error(fmt::format("source \"{}\" not allowed by policy: action DENY{}",
                            source.identifier(), why));
  }
  throw Error("too many policy requests");
}

bool SourcePolicies::apply(pb::SourceOp& source, const std::string& platform) const {
  bool changed = !policies_.empty() && apply_rules(source);
  if (session_) changed = ask_client(source, platform, kMaxQuestions) || changed;
  return changed;
}

void SourcePolicies::allow_directory(const std::string& name) const {
  if (empty()) return;
  pb::SourceOp asked;
  asked.set_identifier("local://" + name);
  if (!apply(asked, "")) return;
  throw Error(fmt::format("a policy that turns the directory {} into {} is not supported",
                          lade::quoted(name), lade::quoted(asked.identifier())));
}

BaseImage PolicyImages::resolve(const std::string& source, const Platform& platform) {
  const bool image = source.starts_with(kDockerImage);
  if (policies_.empty() || (!image && !source.starts_with("oci-layout://"))) {
    return images_.resolve(source, platform);
  }
  pb::SourceOp asked;
  asked.set_identifier(source);
  if (image) {
    asked.set_identifier(std::string(kDockerImage) +
                         Reference::parse(source.substr(kDockerImage.size())).str());
  }
  policies_.apply(asked, platform.str());
  if (!is_image_context(asked.identifier())) {
    throw Error(fmt::format("a policy that turns {} into {} is not supported", lade::quoted(source),
                            lade::quoted(asked.identifier())));
  }
  BaseImage found = images_.resolve(asked.identifier(), platform);
  const auto checksum = asked.attrs().find("image.checksum");
  if (checksum != asked.attrs().end() && !found.identifier.ends_with("@" + checksum->second)) {
    throw Error(
        fmt::format("image digest mismatch: {} is not {}", found.display, checksum->second));
  }
  return found;
}

}  // namespace lade
