#include "registry/auth.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "tests/support/http_server.hpp"

namespace lade {
namespace {

using test::HttpServer;
using test::HttpServerReply;
using test::HttpServerRequest;
using ::testing::HasSubstr;

std::string shown(std::string_view header) {
  const auto challenge = parse_challenge(header);
  if (!challenge) return "none";
  return challenge->realm + "|" + challenge->service + "|" + challenge->scope;
}

TEST(BearerChallenge, IsFoundAmongOthers) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"(Bearer realm="https://a/t",service="s",scope="repository:x:pull,push")",
       "https://a/t|s|repository:x:pull,push"},
      {R"(bearer  Realm = "https://a/t" , SERVICE=s)", "https://a/t|s|"},
      {R"(Basic realm="b", Bearer realm="https://a/t",service="s")", "https://a/t|s|"},
      {R"(Bearer realm="https://a/t", Basic realm="b")", "https://a/t||"},
      {R"(Negotiate abc==, Bearer realm="https://a/t")", "https://a/t||"},
      {R"(Bearer realm="a\"b\\c")", "a\"b\\c||"},
      {R"(Bearer realm="unterminated)", "unterminated||"},
      {R"(Basic realm="b")", "none"},
      {"Bearer", "none"},
      {"", "none"},
      {",,,===\"\"", "none"},
      {"Bearer realm=", "none"},
  };
  for (const auto& [header, expected] : cases) EXPECT_EQ(shown(header), expected) << header;
}

class TokenCacheTest : public ::testing::Test {
 protected:
  std::string fetch(const std::string& body, int status = 200) {
    HttpServer server(
        [&](const HttpServerRequest&) { return HttpServerReply{.status = status, .body = body}; });
    const std::string out =
        cache_.fetch(*http_, "key", {server.url() + "/token", "my service", "repository:a/b:pull"},
                     "http://127.0.0.1");
    last_ = server.requests().at(0);
    return out;
  }

  std::unique_ptr<HttpClient> http_ = HttpClient::create({});
  TokenCache cache_;
  HttpServerRequest last_;
};

TEST_F(TokenCacheTest, AsksTheRealmAndKeepsTheToken) {
  EXPECT_EQ(cache_.find("key"), "");
  EXPECT_EQ(fetch(R"({"token":"abc","expires_in":300})"), "Bearer abc");
  EXPECT_EQ(last_.target, "/token?service=my%20service&scope=repository%3Aa%2Fb%3Apull");
  EXPECT_EQ(cache_.find("key"), "Bearer abc");
  EXPECT_EQ(cache_.find("other"), "");
  EXPECT_EQ(fetch(R"({"access_token":"def"})"), "Bearer def");
  EXPECT_EQ(cache_.find("key"), "Bearer def");
}

TEST_F(TokenCacheTest, AppendsToARealmWithAQuery) {
  HttpServer server(
      [](const HttpServerRequest&) { return HttpServerReply{.body = R"({"token":"t"})"}; });
  cache_.fetch(*http_, "key", {server.url() + "/?a=b", "", "s"}, "http://127.0.0.1");
  EXPECT_EQ(server.requests().at(0).target, "/?a=b&scope=s");
}

TEST_F(TokenCacheTest, RefusesUnusableTokens) {
  EXPECT_THROW(fetch("{}"), Error);
  EXPECT_THROW(fetch("nonsense"), Error);
  EXPECT_THROW(fetch(R"({"token":""})"), Error);
  EXPECT_THROW(fetch(R"({"token":"a\r\nX-Evil: 1"})"), Error);
  EXPECT_THROW(fetch(R"({"token":["a"]})"), Error);
  EXPECT_EQ(cache_.find("key"), "");
}

TEST_F(TokenCacheTest, SaysWhyThereIsNoToken) {
  try {
    fetch(R"({"errors":[{"message":"not you"}]})", 403);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("gave no token: it answered 403: 'not you'"));
  }
}

TEST_F(TokenCacheTest, RefusesInsecureRealmsOfSecureRegistries) {
  for (const char* realm : {"http://127.0.0.1:1/", "file:///etc/passwd", "//a", ""}) {
    try {
      cache_.fetch(*http_, "key", {realm, "", ""}, "https://registry.example");
      ADD_FAILURE() << realm;
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr("which is no https URL"));
    }
  }
}

}  // namespace
}  // namespace lade
