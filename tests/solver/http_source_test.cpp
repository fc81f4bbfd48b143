// HTTP sources against a server that may misbehave.
#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "solve_fixture.hpp"
#include "solver/lower/remote.hpp"
#include "solver/solve_options.hpp"
#include "solver/source/http.hpp"
#include "solver/source/http_validators.hpp"
#include "solver/source/remote_sources.hpp"
#include "tests/support/http_server.hpp"

namespace lade {
namespace {

using namespace std::chrono_literals;
using namespace testing_solver;
using test::HttpServer;
using test::HttpServerReply;
using test::HttpServerRequest;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kDate = "Wed, 01 Jan 2020 00:00:00 GMT";
constexpr const char* kLaterDate = "Wed, 01 Jan 2020 00:00:01 GMT";
constexpr int64_t kSeconds = 1577836800;

class HttpSourceTest : public SolveTest {
 protected:
  void SetUp() override {
    SolveTest::SetUp();
    remote_.http.retry_delay = 1ms;
  }

  /// Builds what `op` alone gives.
  Build get(const SourceOp& op) {
    Graph graph;
    const auto source = graph.add(op, {});
    SolveOptions options;
    options.remotes = std::make_shared<RemoteSources>(*state_, remote_);
    return solve(graph, source, std::move(options));
  }
  Build get(const std::string& url) { return get(http_source(url, http_file_name(url), "")); }

  RemoteSourceOptions remote_;
};

TEST_F(HttpSourceTest, AFileIsALayerWithModeOwnerAndTime) {
  HttpServer server([](const HttpServerRequest&) {
    return HttpServerReply{.headers = {{"Last-Modified", kDate}}, .body = "content"};
  });
  const Build build = get(server.url() + "/dir/f.txt?query");
  EXPECT_THAT(view(build.result.layers), ElementsAre("f 600 0:0 f.txt = content")) << build.error;
  EXPECT_EQ(entry(build.result.layers, "f.txt").mtime_sec, kSeconds);
  EXPECT_EQ(server.requests().at(0).header("user-agent"),
            "lade/" LADE_VERSION " (compatible; buildkit/v0.32)");
}

TEST_F(HttpSourceTest, AttributesBeatWhatTheServerSays) {
  HttpServer server([](const HttpServerRequest&) {
    return HttpServerReply{.headers = {{"Content-Disposition", "attachment; filename=\"theirs\""}},
                           .body = "x"};
  });
  SourceOp op{server.url() + "/f", {{"perm", "644"}, {"uid", "5"}, {"gid", "6"}}};
  EXPECT_THAT(view(get(op).result.layers), ElementsAre("f 644 5:6 theirs = x"));
  op.attrs["filename"] = "ours";
  const Build build = get(op);
  EXPECT_THAT(view(build.result.layers), ElementsAre("f 644 5:6 ours = x"));
  EXPECT_EQ(entry(build.result.layers, "ours").mtime_sec, 0);
}

TEST_F(HttpSourceTest, AnUnchangedFileIsAskedForAndNotSentAgain) {
  HttpServer server([](const HttpServerRequest& request) {
    if (request.header("if-none-match") == "\"v1\"") return HttpServerReply{.status = 304};
    return HttpServerReply{.headers = {{"ETag", "\"v1\""}, {"Last-Modified", kDate}}, .body = "x"};
  });
  const Build first = get(server.url() + "/f");
  EXPECT_THAT(first.events, ElementsAre("started v0", "completed v0"));
  const Build second = get(server.url() + "/f");
  EXPECT_THAT(second.events, ElementsAre("cached v0"));
  EXPECT_EQ(second.result.layers, first.result.layers);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(HttpSourceTest, AServerWithoutConditionsIsNotReadWhenItsVersionIsKnown) {
  std::atomic<int> requests = 0;
  HttpServer server([&](const HttpServerRequest&) {
    HttpServerReply reply{.headers = {{"ETag", requests == 0 ? "W/\"v1\"" : "\"v1\""}},
                          .body = "x"};
    reply.endless = requests++ > 0;
    reply.send_length = false;
    return reply;
  });
  get(server.url() + "/f");
  EXPECT_THAT(get(server.url() + "/f").events, ElementsAre("cached v0"));
}

TEST_F(HttpSourceTest, ATimeIsAskedWithOnlyIfTheFileCannotHaveChangedInThatSecond) {
  std::string sent = kDate;
  HttpServer server([&](const HttpServerRequest& request) {
    if (!request.header("if-modified-since").empty()) return HttpServerReply{.status = 304};
    return HttpServerReply{.headers = {{"Last-Modified", kDate}, {"Date", sent}}, .body = "x"};
  });
  get(server.url() + "/f");
  get(server.url() + "/f");
  EXPECT_EQ(server.requests().at(1).header("if-modified-since"), "");
  sent = kLaterDate;
  get(server.url() + "/f");
  EXPECT_THAT(get(server.url() + "/f").events, ElementsAre("cached v0"));
  EXPECT_EQ(server.requests().at(3).header("if-modified-since"), kDate);
}

TEST_F(HttpSourceTest, TheSameBytesDownloadedAgainAreAHit) {
  HttpServer server([](const HttpServerRequest&) { return HttpServerReply{.body = "x"}; });
  const Build first = get(server.url() + "/f");
  const int64_t layers = count_layers();
  const Build second = get(server.url() + "/f");
  EXPECT_EQ(second.result.layers, first.result.layers);
  EXPECT_EQ(count_layers(), layers);
  EXPECT_EQ(files_in(state_->tmp()), 0u);
}

TEST_F(HttpSourceTest, OtherBytesAnotherNameOrAnotherTimeAreAnotherLayer) {
  std::string body = "1";
  std::string date = kDate;
  HttpServer server([&](const HttpServerRequest&) {
    return HttpServerReply{.headers = {{"Last-Modified", date}}, .body = body};
  });
  std::set<LayerStack> seen = {get(server.url() + "/f").result.layers};
  EXPECT_TRUE(seen.insert(get(server.url() + "/g").result.layers).second);
  body = "2";
  EXPECT_TRUE(seen.insert(get(server.url() + "/f").result.layers).second);
  date = kLaterDate;
  EXPECT_TRUE(seen.insert(get(server.url() + "/f").result.layers).second);
}

TEST_F(HttpSourceTest, AChecksumIsCheckedAndOnceKnownNothingIsAsked) {
  HttpServer server([](const HttpServerRequest&) { return HttpServerReply{.body = "content"}; });
  const std::string good = Digest::of("content").str();
  const std::string other = Digest::of("other").str();
  EXPECT_EQ(get(http_source(server.url() + "/f", "f", other)).error,
            server.url() + "/f: digest mismatch: " + good + " (expected: " + other +
                ")\nhint: the file is not the one that --checksum was made for");
  EXPECT_EQ(get(http_source(server.url() + "/f", "f", good)).error, "");
  const size_t requests = server.requests().size();
  EXPECT_THAT(get(http_source(server.url() + "/f", "f", good)).events, ElementsAre("cached v0"));
  EXPECT_EQ(server.requests().size(), requests);
  EXPECT_EQ(files_in(state_->tmp()), 0u);
}

TEST_F(HttpSourceTest, OneBuildSeesOneVersion) {
  std::atomic<int> requests = 0;
  HttpServer server([&](const HttpServerRequest&) {
    return HttpServerReply{.body = std::to_string(requests++)};
  });
  Graph graph;
  const auto op = http_source(server.url() + "/f", "f", "");
  const auto once = graph.copy(graph.scratch(), graph.add(op, {}), "/f");
  const auto twice = graph.copy(once, graph.add(op, {}), "/f");
  SolveOptions options;
  options.remotes = std::make_shared<RemoteSources>(*state_, remote_);
  const Build first = solve(graph, twice, options);
  EXPECT_EQ(content(first.result.layers, "f"), "0") << first.error;
  const Build second = solve(graph, twice, options);
  EXPECT_EQ(content(second.result.layers, "f"), "0");
  EXPECT_EQ(requests, 1);
}

TEST_F(HttpSourceTest, RefusalsSayTheStatus) {
  HttpServer server([](const HttpServerRequest& request) {
    return HttpServerReply{.status = std::stoi(request.target.substr(1))};
  });
  EXPECT_EQ(get(server.url() + "/404").error, server.url() + "/404: server said 404 Not Found");
  EXPECT_EQ(get(server.url() + "/401").error, server.url() + "/401: server said 401 Unauthorized");
  EXPECT_EQ(get(server.url() + "/304").error,
            server.url() + "/304: server said 304 without being asked");
  EXPECT_THAT(get(server.url() + "/503").error, HasSubstr("answered 503"));
}

TEST_F(HttpSourceTest, ALostConnectionIsTriedAgain) {
  std::atomic<int> requests = 0;
  HttpServer server([&](const HttpServerRequest&) {
    HttpServerReply reply{.body = std::string(100'000, 'x')};
    if (requests++ == 0) reply.cut_after = 50'000;
    return reply;
  });
  const Build build = get(server.url() + "/f");
  EXPECT_EQ(content(build.result.layers, "f").size(), 100'000u) << build.error;
}

TEST_F(HttpSourceTest, RedirectsAreFollowedButNotToOtherProtocols) {
  HttpServer server([](const HttpServerRequest& request) {
    if (request.target == "/f")
      return HttpServerReply{.status = 302, .headers = {{"Location", "/g"}}};
    if (request.target == "/loop")
      return HttpServerReply{.status = 302, .headers = {{"Location", "/loop"}}};
    if (request.target == "/file") {
      return HttpServerReply{.status = 302, .headers = {{"Location", "file:///etc/passwd"}}};
    }
    return HttpServerReply{.body = "moved"};
  });
  EXPECT_EQ(content(get(server.url() + "/f").result.layers, "f"), "moved");
  EXPECT_THAT(get(server.url() + "/loop").error, HasSubstr("redirects more than"));
  EXPECT_THAT(get(server.url() + "/file").error, HasSubstr("could not reach"));
}

TEST_F(HttpSourceTest, AnEndlessBodyIsAnError) {
  HttpServer server([](const HttpServerRequest& request) {
    HttpServerReply reply{.body = std::string(10'000, 'x')};
    reply.endless = request.target == "/endless";
    reply.send_length = !reply.endless;
    return reply;
  });
  remote_.max_download = 5'000;
  EXPECT_EQ(get(server.url() + "/endless").error,
            server.url() + "/endless: the file is larger than 5000 bytes");
  EXPECT_EQ(get(server.url() + "/long").error,
            server.url() + "/long: the file is larger than 5000 bytes");
  EXPECT_EQ(files_in(state_->tmp()), 0u);
}

TEST_F(HttpSourceTest, SecretsAndPasswordsAuthorize) {
  HttpServer server([](const HttpServerRequest&) { return HttpServerReply{.body = "x"}; });
  const auto sent = [&] { return server.requests().back().header("authorization"); };
  const std::string host = server.host();
  const Build build = get("http://user:p%40ss@" + host + "/f");
  EXPECT_EQ(sent(), "Basic dXNlcjpwQHNz") << build.error;
  remote_.secrets["HTTP_AUTH_HEADER_127.0.0.1"] = "Custom abc\n";
  get(server.url() + "/f");
  EXPECT_EQ(sent(), "Custom abc");
  remote_.secrets["HTTP_AUTH_TOKEN_127.0.0.1"] = "tok";
  get(server.url() + "/f");
  EXPECT_EQ(sent(), "Bearer tok");
  remote_.secrets["HTTP_AUTH_TOKEN_127.0.0.1"] = "a\r\nEvil: b";
  EXPECT_THAT(get(server.url() + "/f").error, HasSubstr("has several lines"));
}

TEST_F(HttpSourceTest, PasswordsAreInNoMessage) {
  HttpServer server([](const HttpServerRequest&) { return HttpServerReply{.status = 404}; });
  EXPECT_EQ(get("http://user:secret@" + server.host() + "/f").error,
            server.url() + "/f: server said 404 Not Found");
}

TEST_F(HttpSourceTest, AFailureElsewhereEndsADownload) {
  HttpServer server([](const HttpServerRequest& request) {
    if (request.target == "/missing") return HttpServerReply{.status = 404};
    HttpServerReply reply{.body = "x"};
    reply.delay_body = 20s;
    return reply;
  });
  Graph graph;
  const auto slow = graph.add(http_source(server.url() + "/slow", "f", ""), {});
  const auto missing = graph.add(http_source(server.url() + "/missing", "f", ""), {});
  const auto root = graph.merge({slow, missing});
  SolveOptions options;
  options.remotes = std::make_shared<RemoteSources>(*state_, remote_);
  const auto start = std::chrono::steady_clock::now();
  const Build build = solve(graph, root, std::move(options));
  EXPECT_THAT(build.error, HasSubstr("404 Not Found"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
  EXPECT_EQ(files_in(state_->tmp()), 0u);
}

// -- small parts

TEST(HttpDateTest, AllThreeFormsAreRead) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), 784111777);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 UTC"), 784111777);
  EXPECT_EQ(parse_http_date(""), std::nullopt);
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT and more"), std::nullopt);
}

TEST(ContentDispositionTest, GivesAFileNameWithoutDirectories) {
  const std::pair<const char*, const char*> cases[] = {
      {"attachment; filename=a.txt", "a.txt"},
      {"attachment; FileName=\"a \\\"b\\\".txt\"; x=y", "a \"b\".txt"},
      {"attachment; filename=\"../../etc/passwd\"", "passwd"},
      {"attachment; filename=plain; filename*=UTF-8''na%C3%AFve", "na\xc3\xafve"},
      {"attachment; filename=\"dir/\"", ""},
      {"attachment; filename", ""},
      {"attachment; filename=", ""},
      {"attachment; filename=\"open", "open"},
      {"inline", ""},
      {"", ""},
  };
  for (const auto& [field, name] : cases) EXPECT_EQ(disposition_file_name(field), name) << field;
}

}  // namespace
}  // namespace lade
