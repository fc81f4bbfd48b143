#include "registry/auth/auth.hpp"

#include <atomic>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "snapshotter/content/image_config.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/http_server.hpp"

namespace lade {
namespace {

using test::HttpServer;
using test::HttpServerReply;
using test::HttpServerRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

std::string shown(std::string_view header) {
  const auto [bearer, basic] = parse_challenges(header);
  if (!bearer) return basic ? "basic" : "none";
  return bearer->realm + "|" + bearer->service + "|" + bearer->scope + (basic ? "|basic" : "");
}

TEST(Challenges, AreFoundAmongOthers) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"(Bearer realm="https://a/t",service="s",scope="repository:x:pull,push")",
       "https://a/t|s|repository:x:pull,push"},
      {R"(bearer  Realm = "https://a/t" , SERVICE=s)", "https://a/t|s|"},
      {R"(Basic realm="b", Bearer realm="https://a/t",service="s")", "https://a/t|s||basic"},
      {R"(Bearer realm="https://a/t", Basic realm="b")", "https://a/t|||basic"},
      {R"(Bearer realm="https://a/t", Bearer realm="https://b/t")", "https://a/t||"},
      {R"(Negotiate abc==, Bearer realm="https://a/t")", "https://a/t||"},
      {R"(Bearer realm="a\"b\\c")", "a\"b\\c||"},
      {R"(Bearer realm="unterminated)", "unterminated||"},
      {R"(Basic realm="b")", "basic"},
      {"Basic", "basic"},
      {"Bearer", "none"},
      {"", "none"},
      {",,,===\"\"", "none"},
      {"Bearer realm=", "none"},
  };
  for (const auto& [header, expected] : cases) EXPECT_EQ(shown(header), expected) << header;
}

TEST(Scopes, AreMergedByResource) {
  EXPECT_THAT(merge_scopes({"repository:a:pull", "repository:a:pull,push", "repository:b:pull"}),
              ElementsAre("repository:a:pull,push", "repository:b:pull"));
  EXPECT_THAT(merge_scopes({"repository:h:5000/a:pull", "repository:h:5000/a:push"}),
              ElementsAre("repository:h:5000/a:pull,push"));
  EXPECT_THAT(merge_scopes({}), ElementsAre());
}

/// A token server, and an Authenticator whose credentials are those of `config`.
class AuthTest : public ::testing::Test {
 protected:
  AuthTest() { use("{}"); }

  void use(const std::string& config) {
    const std::string path = dir_.path() + "/config.json";
    sys::write_file_atomically(path, config);
    RegistryFiles files;
    files.credentials = {path};
    credentials_ = std::make_unique<CredentialStore>(files);
    authenticator_ = std::make_unique<Authenticator>(
        *http_, *credentials_, [](const RegistryEndpoint&, const std::string&) { return nullptr; });
  }

  std::string bearer() const {
    return "Bearer realm=\"" + server_.url() + "/token\",service=\"my s\"";
  }

  std::string answer(const std::string& challenge, const std::string& refused = "",
                     const Scopes& scopes = {"repository:a/b:pull"},
                     const std::string& base = "http://127.0.0.1") {
    return authenticator_->answer(endpoint_, scopes, challenge, refused, base);
  }
  std::string known(const Scopes& scopes = {"repository:a/b:pull"}) {
    return authenticator_->known(endpoint_, scopes);
  }

  TempDir dir_ = TempDir::create(::testing::TempDir());
  std::function<HttpServerReply(const HttpServerRequest&)> reply_ = [](const HttpServerRequest&) {
    return HttpServerReply{.body = R"({"token":"abc","expires_in":300})"};
  };
  HttpServer server_{[this](const HttpServerRequest& request) { return reply_(request); }};
  std::unique_ptr<HttpClient> http_ = HttpClient::create({});
  std::unique_ptr<CredentialStore> credentials_;
  std::unique_ptr<Authenticator> authenticator_;
  RegistryEndpoint endpoint_{"reg.example", "reg.example", "a/b"};
};

TEST_F(AuthTest, AsksTheRealmOnceForEachSetOfScopes) {
  EXPECT_EQ(known(), "");
  EXPECT_EQ(answer(bearer()), "Bearer abc");
  EXPECT_EQ(known(), "Bearer abc");
  EXPECT_EQ(answer(bearer()), "Bearer abc");
  EXPECT_EQ(known({"repository:a/b:pull,push"}), "");
  answer(bearer(), "", {"repository:a/b:pull,push", "repository:c:pull"});
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].target, "/token?service=my%20s&scope=repository%3Aa%2Fb%3Apull");
  EXPECT_EQ(
      requests[1].target,
      "/token?service=my%20s&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull");
  EXPECT_EQ(requests[0].header("authorization"), "");
}

TEST_F(AuthTest, AddsTheScopesThatTheRegistryNames) {
  answer(bearer() + ",scope=\"repository:a/b:pull repository:proj/a/b:pull\"", "",
         {"repository:a/b:pull,push"});
  EXPECT_THAT(server_.requests().at(0).target,
              HasSubstr("&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Aproj%2Fa%2Fb"
                        "%3Apull"));
}

TEST_F(AuthTest, AppendsToARealmWithAQuery) {
  answer("Bearer realm=\"" + server_.url() + "/?a=b\"");
  EXPECT_THAT(server_.requests().at(0).target, ::testing::StartsWith("/?a=b&scope="));
}

TEST_F(AuthTest, GetsANewTokenForOneThatWasRefused) {
  int issued = 0;
  reply_ = [&](const auto&) {
    return HttpServerReply{.body = fmt::format(R"({{"access_token":"t{}"}})", ++issued)};
  };
  EXPECT_EQ(answer(bearer()), "Bearer t1");
  EXPECT_EQ(answer(bearer(), "Bearer t1"), "Bearer t2");
  // Another thread was faster.
  EXPECT_EQ(answer(bearer(), "Bearer t1"), "Bearer t2");
}

TEST_F(AuthTest, ForgetsTokensThatExpire) {
  const auto now = Timestamp::now().seconds;
  // Issued 295 of its 300 seconds ago, so that the margin is all that is left.
  reply_ = [&](const auto&) {
    return HttpServerReply{.body =
                               fmt::format(R"({{"token":"old","expires_in":300,"issued_at":"{}"}})",
                                           Timestamp{now - 295, 0}.str())};
  };
  EXPECT_EQ(answer(bearer()), "Bearer old");
  std::this_thread::sleep_for(1100ms);
  EXPECT_EQ(known(), "");
}

TEST_F(AuthTest, DoesNotBelieveClocksThatDiffer) {
  reply_ = [&](const auto&) {
    return HttpServerReply{
        .body = R"({"token":"t","expires_in":300,"issued_at":"2001-01-01T00:00:00Z"})"};
  };
  answer(bearer());
  std::this_thread::sleep_for(1100ms);
  EXPECT_EQ(known(), "Bearer t");
}

TEST_F(AuthTest, ManyThreadsAskForATokenOnce) {
  reply_ = [](const auto&) {
    return HttpServerReply{.body = R"({"token":"abc"})", .delay_head = 100ms};
  };
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] { right += answer(bearer()) == "Bearer abc" ? 1 : 0; });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 6);
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(AuthTest, TellsTheRealmWhoItIs) {
  use(R"({"auths":{"reg.example":{"auth":"dXNlcjpwYXNz"}}})");  // user:pass
  answer(bearer());
  const auto request = server_.requests().at(0);
  EXPECT_EQ(request.header("authorization"), "Basic dXNlcjpwYXNz");
  EXPECT_THAT(request.target, HasSubstr("&account=user"));
}

TEST_F(AuthTest, RefreshesIdentityTokensByPost) {
  use(R"({"auths":{"reg.example":{"auth":"dXNlcjo=","identitytoken":"id&1"}}})");
  reply_ = [](const auto&) { return HttpServerReply{.body = R"({"access_token":"fresh"})"}; };
  EXPECT_EQ(answer(bearer()), "Bearer fresh");
  const auto request = server_.requests().at(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/token");
  EXPECT_EQ(request.header("authorization"), "");
  EXPECT_EQ(request.header("content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(request.body,
            "grant_type=refresh_token&service=my%20s&client_id=lade&scope=repository%3Aa%2Fb%3Apull"
            "&refresh_token=id%261");
}

TEST_F(AuthTest, IdentityTokensStayWithTheirRealm) {
  use(R"({"auths":{"reg.example":{"identitytoken":"topsecret"}}})");
  HttpServer other([](const auto&) { return HttpServerReply{.body = R"({"token":"x"})"}; },
                   "127.0.0.2");
  reply_ = [&](const auto&) {
    return HttpServerReply{.status = 307, .headers = {{"Location", other.url() + "/token"}}};
  };
  const std::string error = error_of([&] { answer(bearer()); });
  EXPECT_THAT(error, HasSubstr("which gets no credentials"));
  EXPECT_THAT(error, Not(HasSubstr("topsecret")));
  EXPECT_TRUE(other.requests().empty());
}

TEST_F(AuthTest, UsesRegistryTokensAsTheyAre) {
  use(R"({"auths":{"reg.example":{"registrytoken":"direct"}}})");
  EXPECT_EQ(answer(bearer()), "Bearer direct");
  EXPECT_EQ(known(), "Bearer direct");
  EXPECT_EQ(answer(bearer(), "Bearer direct"), "");
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(AuthTest, AnswersBasicWithUserAndPassword) {
  EXPECT_EQ(answer("Basic realm=x"), "");
  use(R"({"auths":{"reg.example":{"auth":"dXNlcjpwYXNz"}}})");
  EXPECT_EQ(answer("Basic realm=x"), "Basic dXNlcjpwYXNz");
  EXPECT_EQ(known({"repository:a/b:pull,push"}), "Basic dXNlcjpwYXNz");
  EXPECT_EQ(answer("Basic realm=x", "Basic dXNlcjpwYXNz"), "");
  EXPECT_EQ(answer("Negotiate"), "");
}

TEST_F(AuthTest, RefusesUnusableTokens) {
  for (const char* body : {"{}", "nonsense", R"({"token":""})", R"({"token":"a\r\nX-Evil: 1"})",
                           R"({"token":["a"]})"}) {
    reply_ = [&](const auto&) { return HttpServerReply{.body = body}; };
    EXPECT_THROW(answer(bearer()), Error) << body;
    EXPECT_EQ(known(), "");
  }
}

TEST_F(AuthTest, SaysNothingOfTokensThatItCannotRead) {
  reply_ = [&](const auto&) { return HttpServerReply{.body = R"({"token":"s3cret)"}; };
  EXPECT_THAT(error_of([&] { answer(bearer()); }), Not(HasSubstr("s3cret")));
}

TEST_F(AuthTest, SaysWhyThereIsNoToken) {
  use(R"({"auths":{"reg.example":{"auth":"dXNlcjpwYXNz"}}})");
  reply_ = [](const auto&) {
    return HttpServerReply{.status = 403, .body = R"({"errors":[{"message":"not you"}]})"};
  };
  const std::string error = error_of([&] { answer(bearer()); });
  EXPECT_THAT(error, HasSubstr(server_.url() + " gave no token: it answered 403: 'not you'"));
  EXPECT_THAT(error, HasSubstr("the credentials may be wrong"));
}

TEST_F(AuthTest, RefusesInsecureRealmsOfSecureRegistries) {
  for (const char* realm : {"http://127.0.0.1:1/", "file:///etc/passwd", "//a"}) {
    EXPECT_THAT(error_of([&] {
                  answer(std::string("Bearer realm=\"") + realm + "\"", "", {},
                         "https://reg.example");
                }),
                HasSubstr("which is not an https URL"))
        << realm;
  }
}

}  // namespace
}  // namespace lade
