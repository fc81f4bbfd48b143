// Source policies: which rule holds, and what a source becomes.
#include "daemon/job/source_policy.hpp"

#include <gtest/gtest.h>

#include "daemon/proto/ops.pb.h"
#include "daemon/proto/policy.pb.h"
#include "tests/support/error_of.hpp"

namespace lade::test {
namespace {

namespace policy_api = moby::buildkit::v1::sourcepolicy;

struct Rule {
  policy_api::PolicyAction action;
  std::string selector;
  std::string updated{};
  policy_api::MatchType type = policy_api::WILDCARD;
};

SourcePolicies policies(const std::vector<Rule>& rules) {
  policy_api::Policy policy;
  for (const auto& rule : rules) {
    auto& out = *policy.add_rules();
    out.set_action(rule.action);
    out.mutable_selector()->set_identifier(rule.selector);
    out.mutable_selector()->set_match_type(rule.type);
    if (!rule.updated.empty()) out.mutable_updates()->set_identifier(rule.updated);
  }
  SourcePolicies made;
  made.add(policy);
  return made;
}

/// What the source becomes, or the error.
std::string applied(const SourcePolicies& rules, const std::string& identifier) {
  pb::SourceOp source;
  source.set_identifier(identifier);
  const std::string error = error_of([&] { rules.apply(source, ""); });
  return error.empty() ? source.identifier() : error;
}

TEST(SourcePolicyTest, WithoutRulesEverythingStays) {
  const SourcePolicies none = policies({});
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(applied(none, "docker-image://a"), "docker-image://a");
}

TEST(SourcePolicyTest, TheLastMatchingRuleOfAPolicyDecides) {
  const Rule deny{policy_api::DENY, "docker-image://*"};
  const Rule allow{policy_api::ALLOW, "docker-image://good"};
  EXPECT_EQ(applied(policies({deny}), "docker-image://bad"),
            "source \"docker-image://bad\" denied by policy");
  EXPECT_EQ(applied(policies({deny, allow}), "docker-image://good"), "docker-image://good");
  EXPECT_EQ(applied(policies({allow, deny}), "docker-image://good"),
            "source \"docker-image://good\" denied by policy");
  EXPECT_EQ(applied(policies({deny}), "https://a"), "https://a");
}

TEST(SourcePolicyTest, WhatIsConvertedIsLookedAtAgain) {
  const auto rules = policies({{policy_api::DENY, "docker-image://b"},
                               {policy_api::CONVERT, "docker-image://a", "docker-image://b"}});
  EXPECT_EQ(applied(rules, "docker-image://a"), "source \"docker-image://b\" denied by policy");
}

TEST(SourcePolicyTest, CirclesEnd) {
  const auto rules = policies({{policy_api::CONVERT, "a", "b"}, {policy_api::CONVERT, "b", "a"}});
  EXPECT_EQ(applied(rules, "a"), "too many mutations on a single source");
}

TEST(SourcePolicyTest, WhatWildcardsMatchIsFilledIn) {
  const Rule rule{policy_api::CONVERT, "docker-image://*/golang:*",
                  "docker-image://mirror/${1}:$2-alpine"};
  EXPECT_EQ(applied(policies({rule}), "docker-image://docker.io/golang:1.19"),
            "docker-image://mirror/docker.io:1.19-alpine");
  EXPECT_EQ(applied(policies({{policy_api::DENY, "a.c"}}), "abc"), "abc");
  EXPECT_EQ(applied(policies({{policy_api::DENY, "a**"}}), "abc"), "invalid wildcard: \"**\"");
}

TEST(SourcePolicyTest, RegularExpressionsAreGos) {
  const Rule rule{policy_api::CONVERT, "^https://(?P<host>[^/]+)/file$", "https://mirror/$host/$$",
                  policy_api::REGEX};
  EXPECT_EQ(applied(policies({rule}), "https://a.example/file"), "https://mirror/a.example/$");
  EXPECT_NE(applied(policies({{policy_api::DENY, "(", "", policy_api::REGEX}}), "a")
                .find("invalid pattern"),
            std::string::npos);
  EXPECT_EQ(applied(policies({{policy_api::DENY, "a.", "", policy_api::EXACT}}), "ab"), "ab");
}

TEST(SourcePolicyTest, AttributesAreConditionsAndAreSet) {
  policy_api::Policy policy;
  auto& rule = *policy.add_rules();
  rule.set_action(policy_api::CONVERT);
  rule.mutable_selector()->set_identifier("https://*");
  auto& constraint = *rule.mutable_selector()->add_constraints();
  constraint.set_key("http.filename");
  constraint.set_value("^x");
  constraint.set_condition(policy_api::MATCHES);
  (*rule.mutable_updates()->mutable_attrs())["http.checksum"] = "sha256:1";
  rule.mutable_updates()->set_identifier("https://${1}");
  SourcePolicies rules;
  rules.add(policy);
  pb::SourceOp source;
  source.set_identifier("https://a");
  EXPECT_FALSE(rules.apply(source, ""));
  (*source.mutable_attrs())["http.filename"] = "xy";
  EXPECT_TRUE(rules.apply(source, ""));
  EXPECT_EQ(source.identifier(), "https://a");
  EXPECT_EQ(source.attrs().at("http.checksum"), "sha256:1");
}

TEST(SourcePolicyTest, ARuleWithoutSelectorIsAnError) {
  policy_api::Policy policy;
  policy.add_rules()->set_action(policy_api::DENY);
  SourcePolicies rules;
  EXPECT_NE(error_of([&] { rules.add(policy); }), "");
}

}  // namespace
}  // namespace lade::test
