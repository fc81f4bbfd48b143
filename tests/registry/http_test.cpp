#include "registry/net/http.hpp"

#include <atomic>
#include <cstdlib>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "tests/support/http_server.hpp"

namespace lade {
namespace {

using namespace std::chrono_literals;
using test::HttpServer;
using test::HttpServerReply;
using test::HttpServerRequest;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Retries at once. Only tests of stalls ask for less time than a busy machine may need.
HttpOptions quick(std::chrono::milliseconds stall_timeout = 10s) {
  HttpOptions options;
  options.stall_timeout = stall_timeout;
  options.retry_delay = 1ms;
  options.max_retry_delay = 50ms;
  return options;
}

std::string get(HttpClient& http, const std::string& url) {
  const auto response = http.send({url, HttpMethod::get, {}, ""});
  return read_all(*response, 64 << 20, "body");
}

/// The error of `body`, which must throw an E.
template <class E = Error, class Body>
E failure(Body&& body) {
  try {
    body();
  } catch (const E& error) {
    return error;
  }
  throw Error("no error");
}

class HttpTest : public ::testing::Test {
 protected:
  std::unique_ptr<HttpClient> http_ = HttpClient::create(quick());
};

TEST_F(HttpTest, GivesStatusHeadersAndBody) {
  HttpServer server([](const HttpServerRequest&) {
    return HttpServerReply{
        .status = 418, .headers = {{"X-Kind", "tea"}, {"x-kind", "pot"}}, .body = "short"};
  });
  const auto response =
      http_->send({server.url() + "/a?b", HttpMethod::get, {"Accept: x/y"}, "Bearer t"});
  EXPECT_EQ(response->status(), 418);
  EXPECT_EQ(response->header("x-kind"), "tea, pot");
  EXPECT_EQ(response->header("none"), "");
  EXPECT_EQ(response->length(), 5u);
  EXPECT_EQ(read_all(*response, 100, "body"), "short");
  const auto request = server.requests().at(0);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/a?b");
  EXPECT_EQ(request.header("accept"), "x/y");
  EXPECT_EQ(request.header("authorization"), "Bearer t");
  EXPECT_EQ(request.header("user-agent"), "lade/" LADE_VERSION " (compatible; buildkit/v0.32)");
}

TEST_F(HttpTest, HeadHasALengthAndNoBody) {
  HttpServer server([](const HttpServerRequest&) { return HttpServerReply{.body = "12345"}; });
  const auto response = http_->send({server.url(), HttpMethod::head, {}, ""});
  EXPECT_EQ(response->length(), 5u);
  EXPECT_EQ(read_all(*response, 100, "body"), "");
  EXPECT_EQ(server.requests().at(0).method, "HEAD");
}

TEST_F(HttpTest, ReusesConnections) {
  HttpServer server([](const HttpServerRequest&) { return HttpServerReply{.body = "ok"}; });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get(*http_, server.url()), "ok");
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpTest, SkipsInterimAnswers) {
  HttpServer server([](const HttpServerRequest&) {
    return HttpServerReply{
        .body = "ok",
        .raw_head =
            "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"};
  });
  const auto response = http_->send({server.url(), HttpMethod::get, {}, ""});
  EXPECT_EQ(response->status(), 200);
  EXPECT_EQ(response->header("link"), "");
  EXPECT_EQ(read_all(*response, 10, "body"), "ok");
}

TEST_F(HttpTest, StreamsLargeBodies) {
  std::string body;
  for (int i = 0; body.size() < (20u << 20); ++i) body += fmt::format("{},", i);
  HttpServer server([&](const HttpServerRequest&) { return HttpServerReply{.body = body}; });
  EXPECT_EQ(get(*http_, server.url()), body);
}

TEST_F(HttpTest, DoesNotBufferWhatIsNotRead) {
  HttpServer server([](const HttpServerRequest&) {
    return HttpServerReply{.body = std::string(1 << 20, 'x'), .endless = true};
  });
  const auto response = http_->send({server.url(), HttpMethod::get, {}, ""});
  std::vector<char> buffer(1000);
  response->read(buffer.data(), buffer.size());
  std::this_thread::sleep_for(300ms);
  // What fits the sockets' buffers is the kernel's; without a bound this would be gigabytes.
  EXPECT_LT(server.bytes_sent(), 32u << 20);
}

TEST_F(HttpTest, DestroyingAResponseEndsItsTransfer) {
  HttpServer server([](const HttpServerRequest&) {
    return HttpServerReply{.body = std::string(1 << 20, 'x'), .endless = true};
  });
  http_->send({server.url(), HttpMethod::get, {}, ""}).reset();
  std::this_thread::sleep_for(100ms);
  const uint64_t sent = server.bytes_sent();
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(server.bytes_sent(), sent);
}

TEST_F(HttpTest, ResponsesMayOutliveTheClient) {
  HttpServer server([](const HttpServerRequest&) { return HttpServerReply{.body = "ok"}; });
  const auto response = http_->send({server.url(), HttpMethod::get, {}, ""});
  http_.reset();
  EXPECT_EQ(read_all(*response, 10, "body"), "ok");
}

TEST_F(HttpTest, SendsCredentialsToTheirOriginOnly) {
  HttpServer other([](const HttpServerRequest&) { return HttpServerReply{.body = "ok"}; },
                   "127.0.0.2");
  HttpServer server([&](const HttpServerRequest& request) {
    if (request.target == "/a")
      return HttpServerReply{.status = 307, .headers = {{"Location", "b"}}};
    return HttpServerReply{.status = 302, .headers = {{"Location", other.url() + "/c"}}};
  });
  const auto response =
      http_->send({server.url() + "/a", HttpMethod::get, {"Accept: x/y"}, "Bearer secret"});
  EXPECT_EQ(read_all(*response, 10, "body"), "ok");
  ASSERT_EQ(server.requests().size(), 2u);
  EXPECT_EQ(server.requests()[1].target, "/b");
  EXPECT_EQ(server.requests()[1].header("authorization"), "Bearer secret");
  EXPECT_EQ(other.requests().at(0).header("authorization"), "");
  EXPECT_EQ(other.requests().at(0).header("accept"), "x/y");
}

TEST_F(HttpTest, GivesUpOnRedirectLoops) {
  HttpServer server([](const HttpServerRequest&) {
    return HttpServerReply{.status = 301, .headers = {{"Location", "/again"}}};
  });
  const Error error = failure([&] { get(*http_, server.url()); });
  EXPECT_EQ(error.message(), server.host() + " redirects more than 10 times");
  EXPECT_EQ(server.requests().size(), 11u);
}

TEST_F(HttpTest, FollowsHttpOnly) {
  for (const char* target : {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/"}) {
    HttpServer server([&](const HttpServerRequest&) {
      return HttpServerReply{.status = 302, .headers = {{"Location", target}}};
    });
    EXPECT_THROW(get(*http_, server.url()), Error) << target;
  }
  HttpServer lost([](const HttpServerRequest&) { return HttpServerReply{.status = 302}; });
  EXPECT_THAT(failure([&] { get(*http_, lost.url()); }).message(),
              HasSubstr("without saying where"));
}

TEST_F(HttpTest, TellsTransientAnswersFromFinalOnes) {
  int status = 0;
  HttpServer server([&](const HttpServerRequest&) {
    return HttpServerReply{.status = status,
                           .headers = {{"Retry-After", "7"}},
                           .body = R"({"errors":[{"code":"X","message":"too busy"}]})"};
  });
  for (const int transient : {429, 500, 502, 503, 504}) {
    status = transient;
    const auto error = failure<TransientError>([&] { get(*http_, server.url()); });
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
    EXPECT_EQ(error.retry_after(), 7s);
    EXPECT_EQ(error.message(), fmt::format("{} answered {}: 'too busy'", server.host(), status));
  }
  status = 404;
  EXPECT_EQ(http_->send({server.url(), HttpMethod::get, {}, ""})->status(), 404);
}

TEST_F(HttpTest, TellsLostConnectionsFromRefusedOnes) {
  HttpServerReply reply;
  HttpServer server([&](const HttpServerRequest&) { return reply; });
  reply = {.no_answer = true};
  EXPECT_THAT(failure<TransientError>([&] { get(*http_, server.url()); }).message(),
              StartsWith("could not reach " + server.host() + ": "));
  reply = {.body = "hello", .cut_after = 2};
  failure<TransientError>([&] { get(*http_, server.url()); });
  reply = {.body = "hello", .cut_after = 2, .reset = true};
  failure<TransientError>([&] { get(*http_, server.url()); });

  const std::string nobody = fmt::format("http://127.0.0.1:{}", test::free_port());
  const auto refused = failure([&] { http_->retry([&] { get(*http_, nobody); }); });
  EXPECT_EQ(refused.kind(), ErrorKind::unavailable);
  EXPECT_THAT(refused.message(), HasSubstr("onnect"));
}

TEST_F(HttpTest, GivesTheBytesBeforeACut) {
  HttpServer server(
      [](const HttpServerRequest&) { return HttpServerReply{.body = "hello", .cut_after = 2}; });
  const auto response = http_->send({server.url(), HttpMethod::get, {}, ""});
  char buffer[10];
  EXPECT_EQ(response->read(buffer, sizeof buffer), 2u);
  EXPECT_THROW(response->read(buffer, sizeof buffer), TransientError);
}

TEST_F(HttpTest, CutsStalledTransfers) {
  HttpServerReply reply = {.body = "hello", .delay_head = 30s};
  HttpServer server([&](const HttpServerRequest&) { return reply; });
  const auto http = HttpClient::create(quick(300ms));
  EXPECT_THAT(failure<TransientError>([&] { get(*http, server.url()); }).message(),
              HasSubstr("sent only 0 bytes in"));
  reply = {.body = "hello", .delay_body = 30s};
  failure<TransientError>([&] { get(*http, server.url()); });
}

TEST_F(HttpTest, BoundsTheWholeOfADocumentThatComesByteByByte) {
  HttpServer server([](const HttpServerRequest&) {
    return HttpServerReply{.body = std::string(1000, 'x'), .drip = 50ms};
  });
  HttpOptions options = quick();
  options.document_timeout = 600ms;
  const auto http = HttpClient::create(options);
  EXPECT_THAT(failure<TransientError>([&] { get(*http, server.url()); }).message(),
              HasSubstr("took longer than"));
}

TEST_F(HttpTest, BoundsAllRedirectsOfADocumentTogether) {
  HttpServer server([](const HttpServerRequest&) {
    return HttpServerReply{.status = 302, .headers = {{"Location", "/again"}}, .delay_head = 250ms};
  });
  HttpOptions options = quick();
  options.document_timeout = 600ms;
  const auto http = HttpClient::create(options);
  EXPECT_THAT(failure<TransientError>([&] { get(*http, server.url()); }).message(),
              HasSubstr("took longer than"));
}

TEST_F(HttpTest, OfALargeBodyOnlyTheSpeedIsBounded) {
  HttpServerReply reply = {.body = std::string(1000, 'x'), .drip = 20ms};
  HttpServer server([&](const HttpServerRequest&) { return reply; });
  HttpOptions options = quick(500ms);
  options.document_timeout = 1ms;
  const auto http = HttpClient::create(options);
  const auto read = [&] {
    HttpRequest request;
    request.url = server.url();
    request.large = true;
    const auto response = http->send(request);
    return read_all(*response, 1 << 20, "body");
  };
  EXPECT_THAT(failure<TransientError>(read).message(), HasSubstr("sent only"));
  reply = {.body = "whole", .delay_head = 100ms, .delay_body = 100ms};
  EXPECT_EQ(read(), "whole");
}

TEST_F(HttpTest, ConnectsToNothingThatTheGuardRefuses) {
  std::atomic<int> asked = 0;
  HttpServer server([&](const HttpServerRequest&) {
    ++asked;
    return HttpServerReply{.body = "reached"};
  });
  const std::string url = server.url();
  EXPECT_EQ(get(*http_, url), "reached");
  HttpOptions options = quick();
  options.guard = std::make_shared<const AddressGuard>(std::vector<AddressRange>{});
  const auto http = HttpClient::create(options);
  const std::string port = url.substr(url.rfind(':'));
  for (const char* host :
       {"127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433"}) {
    const Error error = failure([&] { get(*http, "http://" + std::string(host) + port); });
    EXPECT_THAT(error.message(), HasSubstr("which builds may not connect to")) << host;
  }
  EXPECT_EQ(asked, 1);
}

TEST_F(HttpTest, DoesNotBlameTheServerForASlowReader) {
  HttpServer server(
      [](const HttpServerRequest&) { return HttpServerReply{.body = std::string(20 << 20, 'x')}; });
  const auto http = HttpClient::create(quick(1s));
  const auto response = http->send({server.url(), HttpMethod::get, {}, ""});
  std::vector<char> buffer(4 << 20);
  uint64_t total = response->read(buffer.data(), buffer.size());
  std::this_thread::sleep_for(1500ms);
  while (const size_t count = response->read(buffer.data(), buffer.size())) total += count;
  EXPECT_EQ(total, 20u << 20);
}

TEST_F(HttpTest, BoundsTheHead) {
  HttpServer server([](const HttpServerRequest&) {
    HttpServerReply reply;
    for (int i = 0; i < 100; ++i) reply.headers.emplace_back("X", std::string(8000, 'x'));
    return reply;
  });
  EXPECT_THROW(get(*http_, server.url()), Error);
}

TEST_F(HttpTest, RetriesUntilItWorks) {
  int left = 3;
  HttpServer server([&](const HttpServerRequest&) {
    return left-- > 0 ? HttpServerReply{.status = 503} : HttpServerReply{.body = "ok"};
  });
  std::string body;
  http_->retry([&] { body = get(*http_, server.url()); });
  EXPECT_EQ(body, "ok");
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST_F(HttpTest, GivesUpAfterTheLastAttempt) {
  HttpServer server([](const HttpServerRequest&) { return HttpServerReply{.status = 500}; });
  EXPECT_EQ(failure([&] { http_->retry([&] { get(*http_, server.url()); }); }).kind(),
            ErrorKind::unavailable);
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST_F(HttpTest, WaitsAsLongAsTheServerAsksWithinReason) {
  HttpOptions options = quick();
  options.attempts = 2;
  options.max_retry_delay = 2s;
  std::string retry_after;
  HttpServer server([&](const HttpServerRequest&) {
    return HttpServerReply{.status = 429, .headers = {{"Retry-After", retry_after}}};
  });
  const auto time = [&](const HttpOptions& chosen) {
    const auto http = HttpClient::create(chosen);
    const auto start = std::chrono::steady_clock::now();
    failure([&] { http->retry([&] { get(*http, server.url()); }); });
    return std::chrono::steady_clock::now() - start;
  };
  retry_after = "1";
  EXPECT_GE(time(options), 1s);
  options.max_retry_delay = 20ms;
  retry_after = "3600";
  EXPECT_LT(time(options), 10s);
}

TEST_F(HttpTest, DoesNotRetryOtherErrors) {
  int calls = 0;
  EXPECT_THROW(http_->retry([&] {
    ++calls;
    throw Error("final");
  }),
               Error);
  EXPECT_EQ(calls, 1);
}

/// Sets an environment variable for a test's duration.
class ScopedEnv {
 public:
  ScopedEnv(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);
  }
  ~ScopedEnv() { unsetenv(name_); }

 private:
  const char* name_;
};

TEST_F(HttpTest, UsesTheProxyOfTheEnvironmentButNotForLoopback) {
  HttpServer proxy([](const HttpServerRequest&) { return HttpServerReply{.body = "proxied"}; });
  HttpServer direct([](const HttpServerRequest&) { return HttpServerReply{.body = "direct"}; });
  const ScopedEnv variable("http_proxy", proxy.url());
  EXPECT_EQ(get(*http_, "http://registry.invalid/x"), "proxied");
  EXPECT_EQ(proxy.requests().at(0).target, "http://registry.invalid/x");
  EXPECT_EQ(get(*http_, direct.url()), "direct");
}

TEST_F(HttpTest, ServesManyThreads) {
  HttpServer server(
      [](const HttpServerRequest& request) { return HttpServerReply{.body = request.target}; });
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 20; ++j) {
        const std::string target = fmt::format("/{}/{}", i, j);
        if (get(*http_, server.url() + target) == target) ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 160);
  EXPECT_LE(server.connections(), 16);
}

TEST_F(HttpTest, ReadsErrorTextsOfRegistriesOnly) {
  std::string body;
  HttpServer server(
      [&](const HttpServerRequest&) { return HttpServerReply{.status = 400, .body = body}; });
  const auto text = [&](std::string json) {
    body = std::move(json);
    return error_text(*http_->send({server.url(), HttpMethod::get, {}, ""}));
  };
  EXPECT_EQ(text(R"({"errors":[{"code":"A","message":"b"},{"code":"C"}]})"), "'b, C'");
  EXPECT_EQ(text(R"({"errors":[{"message":"\u001b[31m"}]})"), "'\\x1b[31m'");
  EXPECT_EQ(text(R"({"errors":{}})"), "");
  EXPECT_EQ(text("<html>no</html>"), "");
  EXPECT_EQ(text(""), "");
  EXPECT_EQ(text(std::string(100'000, 'x')), "");
  EXPECT_LT(text(R"({"errors":[{"message":")" + std::string(5000, 'm') + "\"}]}").size(), 400u);
}

TEST(Url, FindsTheOrigin) {
  EXPECT_EQ(url_origin("HTTPS://Example.com:5000/v2/?x#y"), "https://example.com:5000");
  EXPECT_EQ(url_origin("http://[::1]:80?x"), "http://[::1]:80");
  EXPECT_EQ(url_origin("nothing"), "");
}

TEST(Url, KnowsLoopback) {
  for (const char* host : {"localhost", "LOCALHOST:5000", "a.localhost", "127.0.0.1",
                           "127.1.2.3:80", "[::1]", "[::1]:5000"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host : {"example.com", "localhost.example.com", "128.0.0.1", "127.0.0.1.nip.io",
                           "[::2]", "127.1", "10.0.0.1:127"}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

TEST(Url, EncodesAllButUnreservedCharacters) {
  EXPECT_EQ(url_encode("repository:a/b_c-d.e~f:pull &\xff"),
            "repository%3Aa%2Fb_c-d.e~f%3Apull%20%26%FF");
}

}  // namespace
}  // namespace lade
