// The client against a registry that misbehaves.
#include "registry/client.hpp"

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

const std::string kManifest =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"})";
const std::string kDigest = Digest::of(kManifest).str();

/// A registry with one image; each test bends its answers.
class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    for (int i = 0; blob_.size() < 300'000; ++i) blob_ += fmt::format("{} ", i);
    descriptor_.digest = Digest::of(blob_);
    descriptor_.size = blob_.size();
  }

  HttpServerReply answer(const HttpServerRequest& request) {
    if (bend_) {
      if (auto bent = bend_(request)) return *bent;
    }
    if (request.target.find("/manifests/") != std::string::npos) return manifest();
    if (request.target.find("/blobs/") != std::string::npos) return blob(request);
    return {};
  }

  static HttpServerReply manifest() {
    return {.headers = {{"Content-Type", "application/vnd.oci.image.manifest.v1+json"},
                        {"Docker-Content-Digest", kDigest}},
            .body = kManifest};
  }

  /// As servers that know ranges.
  HttpServerReply blob(const HttpServerRequest& request) const {
    const std::string range = request.header("range");
    if (range.empty()) return {.body = blob_};
    const size_t start = std::stoul(range.substr(range.find('=') + 1));
    return {.status = 206,
            .headers = {{"Content-Range",
                         fmt::format("bytes {}-{}/{}", start, blob_.size() - 1, blob_.size())}},
            .body = blob_.substr(start)};
  }

  static RegistryOptions options(std::chrono::milliseconds stall_timeout = 10s) {
    RegistryOptions out;
    out.files = RegistryFiles{};
    out.http.retry_delay = 1ms;
    out.http.max_retry_delay = 20ms;
    out.http.stall_timeout = stall_timeout;
    return out;
  }

  Reference reference(const std::string& rest = "app:1") const {
    return Reference::parse(server_.host() + "/" + rest);
  }

  std::string read_blob() {
    const auto source = client_->blobs(reference())->open(descriptor_);
    return read_all(*source, 1 << 30, "blob");
  }

  Error failure(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      return error;
    }
    return Error("no error");
  }

  /// The targets and ranges of the requests for blobs.
  std::vector<std::string> blob_requests() const {
    std::vector<std::string> out;
    for (const auto& request : server_.requests()) {
      if (request.target.find("/blobs/") != std::string::npos)
        out.push_back(request.header("range"));
    }
    return out;
  }

  std::string blob_;
  Descriptor descriptor_;
  std::function<std::optional<HttpServerReply>(const HttpServerRequest&)> bend_;
  HttpServer server_{[this](const HttpServerRequest& request) { return answer(request); }};
  std::unique_ptr<RegistryClient> client_ = RegistryClient::create(options());
};

TEST_F(ClientTest, ResolvesByHead) {
  const Descriptor found = client_->resolve(reference());
  EXPECT_EQ(found.digest.str(), kDigest);
  EXPECT_EQ(found.size, kManifest.size());
  EXPECT_EQ(found.media_type, media_type::kOciManifest);
  const auto request = server_.requests().back();
  EXPECT_EQ(request.method, "HEAD");
  EXPECT_EQ(request.target, "/v2/app/manifests/1");
  EXPECT_THAT(request.header("accept"), HasSubstr("application/vnd.oci.image.index.v1+json"));
  EXPECT_THAT(request.header("accept"),
              HasSubstr("application/vnd.docker.distribution.manifest.list.v2+json"));
}

TEST_F(ClientTest, ResolvesByGetWhereHeadSaysTooLittle) {
  for (const char* missing : {"Docker-Content-Digest", "Content-Type"}) {
    bend_ = [&](const auto& request) {
      HttpServerReply reply = manifest();
      if (request.method == "HEAD") {
        std::erase_if(reply.headers, [&](const auto& field) { return field.first == missing; });
      }
      return reply;
    };
    EXPECT_EQ(client_->resolve(reference()).digest.str(), kDigest) << missing;
    EXPECT_EQ(server_.requests().back().method, "GET");
  }
  bend_ = [](const auto& request) -> std::optional<HttpServerReply> {
    if (request.method == "HEAD") return HttpServerReply{.status = 405};
    return std::nullopt;
  };
  EXPECT_EQ(client_->resolve(reference()).digest.str(), kDigest);
}

TEST_F(ClientTest, PrefersTheDigestOfAReference) {
  client_->fetch_manifest(reference("a/b:1@" + kDigest));
  EXPECT_EQ(server_.requests().back().target, "/v2/a/b/manifests/" + kDigest);
}

TEST_F(ClientTest, FetchesManifestsAsTheyAre) {
  const RemoteManifest found = client_->fetch_manifest(reference());
  EXPECT_EQ(found.bytes, kManifest);
  EXPECT_EQ(found.descriptor.digest.str(), kDigest);
  EXPECT_EQ(found.descriptor.size, kManifest.size());
}

TEST_F(ClientTest, FindsOutWhatAManifestIs) {
  std::string type;
  std::string body;
  bend_ = [&](const auto&) {
    return HttpServerReply{.headers = {{"Content-Type", type}}, .body = body};
  };
  const auto found = [&](std::string content_type, std::string bytes) {
    type = std::move(content_type);
    body = std::move(bytes);
    return client_->fetch_manifest(reference()).descriptor.media_type;
  };
  EXPECT_EQ(found("application/vnd.oci.image.index.v1+json; charset=utf-8", "{}"),
            media_type::kOciIndex);
  // One format announced, the other written: what is written counts, if it is the same thing.
  const std::string manifest = kManifest;
  EXPECT_EQ(found("application/vnd.docker.distribution.manifest.v2+json", manifest),
            media_type::kOciManifest);
  EXPECT_EQ(found("application/vnd.docker.distribution.manifest.list.v2+json", manifest),
            media_type::kDockerIndex);
  EXPECT_EQ(found("application/vnd.oci.image.manifest.v1+json", "no document"),
            media_type::kOciManifest);
  EXPECT_EQ(found("application/json", R"({"mediaType":"application/x"})"), "application/x");
  EXPECT_EQ(found("text/plain", R"({"manifests":[]})"), media_type::kOciIndex);
  EXPECT_EQ(found("", R"({"layers":[]})"), media_type::kOciManifest);
  EXPECT_THROW(found("text/html", "<html>"), Error);
  EXPECT_THAT(failure([&] {
                found("application/vnd.docker.distribution.manifest.v1+prettyjws", "{}");
              }).message(),
              HasSubstr("Docker's schema 1"));
}

TEST_F(ClientTest, RefusesWrongDigests) {
  const std::string other = Digest::of("other").str();
  const auto corrupt = [&](const std::function<void()>& body) {
    const Error error = failure(body);
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(error.message(), HasSubstr(server_.host() + "/app"));
    EXPECT_THAT(error.message(), HasSubstr(kDigest));
  };
  corrupt([&] { client_->fetch_manifest(reference("app@" + other)); });
  corrupt([&] { client_->resolve(reference("app@" + other)); });
  bend_ = [&](const auto&) {
    HttpServerReply reply = manifest();
    reply.headers[1].second = other;
    return reply;
  };
  corrupt([&] { client_->fetch_manifest(reference()); });
}

TEST_F(ClientTest, BoundsManifests) {
  bend_ = [&](const auto&) {
    return HttpServerReply{.body = std::string(1 << 20, ' '), .endless = true};
  };
  EXPECT_THAT(failure([&] { client_->fetch_manifest(reference()); }).message(),
              HasSubstr("is larger than 4194304 bytes"));
}

TEST_F(ClientTest, TellsWhatWasAskedForAndWhatTheRegistrySaid) {
  bend_ = [](const auto&) {
    return HttpServerReply{
        .status = 404,
        .body = R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})"};
  };
  const auto expect = [&](const char* what, const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
    EXPECT_EQ(error.message(), fmt::format("could not {0} {1}/app:1: {1} answered 404: 'manifest "
                                           "unknown'",
                                           what, server_.host()));
  };
  expect("resolve", failure([&] { client_->resolve(reference()); }));
  expect("fetch the manifest of", failure([&] { client_->fetch_manifest(reference()); }));
  const Error error = failure([&] { client_->blobs(reference())->open(descriptor_); });
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
  EXPECT_THAT(error.message(), HasSubstr(descriptor_.digest.str()));
  EXPECT_THAT(error.message(), HasSubstr(server_.host() + "/app"));
}

TEST_F(ClientTest, HintsAtCredentialsWhenRefused) {
  for (const int status : {401, 403}) {
    bend_ = [&](const auto&) {
      return HttpServerReply{.status = status, .headers = {{"WWW-Authenticate", "Basic realm=x"}}};
    };
    const Error error = failure([&] { client_->fetch_manifest(reference()); });
    EXPECT_THAT(error.message(), HasSubstr(fmt::format("answered {}", status)));
    EXPECT_THAT(error.hint(), HasSubstr("needs credentials"));
  }
}

TEST_F(ClientTest, RetriesWhatMayPass) {
  int left = 3;
  bend_ = [&](const auto& request) -> std::optional<HttpServerReply> {
    if (request.target == "/v2/" || left-- <= 0) return std::nullopt;
    if (left == 2) return HttpServerReply{.status = 429, .headers = {{"Retry-After", "0"}}};
    if (left == 1) return HttpServerReply{.no_answer = true};
    return HttpServerReply{.body = "cut", .cut_after = 1};
  };
  EXPECT_EQ(client_->fetch_manifest(reference()).bytes, kManifest);
}

TEST_F(ClientTest, IsUnavailableWhenRetriesDoNotHelp) {
  bend_ = [](const auto&) { return HttpServerReply{.status = 503}; };
  for (const auto& ask : {std::function<void()>([&] { client_->resolve(reference()); }),
                          std::function<void()>([&] { client_->blobs(reference())->open({}); })}) {
    const Error error = failure(ask);
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
    EXPECT_THAT(error.message(), HasSubstr(server_.host() + " answered 503"));
  }
}

TEST_F(ClientTest, SaysWhoCouldNotBeReached) {
  const std::string nobody = fmt::format("127.0.0.1:{}", test::free_port());
  const Error error = failure([&] { client_->fetch_manifest(Reference::parse(nobody + "/app")); });
  EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  EXPECT_THAT(error.message(), HasSubstr("could not reach " + nobody));
}

TEST_F(ClientTest, GetsATokenOncePerRepository) {
  bend_ = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target == "/v2/") return std::nullopt;
    if (request.target.starts_with("/token")) {
      return HttpServerReply{.body = R"({"token":"letmein"})"};
    }
    if (request.header("authorization") == "Bearer letmein") return std::nullopt;
    return HttpServerReply{.status = 401,
                           .headers = {{"WWW-Authenticate", "Bearer realm=\"" + server_.url() +
                                                                "/token\",service=\"s\""}}};
  };
  client_->resolve(reference());
  client_->fetch_manifest(reference());
  EXPECT_EQ(read_blob(), blob_);
  std::vector<std::string> tokens;
  for (const auto& request : server_.requests()) {
    if (request.target.starts_with("/token")) tokens.push_back(request.target);
  }
  EXPECT_THAT(tokens, ::testing::ElementsAre("/token?service=s&scope=repository%3Aapp%3Apull"));
}

TEST_F(ClientTest, GetsANewTokenWhenTheOldOneHasExpired) {
  int issued = 0;
  int valid = 1;
  bend_ = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.starts_with("/token")) {
      return HttpServerReply{.body = fmt::format(R"({{"token":"t{}"}})", ++issued)};
    }
    if (request.header("authorization") == fmt::format("Bearer t{}", valid)) return std::nullopt;
    return HttpServerReply{
        .status = 401,
        .headers = {{"WWW-Authenticate", "Bearer realm=" + server_.url() + "/token"}}};
  };
  client_->fetch_manifest(reference());
  valid = 2;
  EXPECT_EQ(client_->fetch_manifest(reference()).bytes, kManifest);
  EXPECT_EQ(issued, 2);
  valid = 99;
  EXPECT_THAT(failure([&] { client_->fetch_manifest(reference()); }).message(),
              HasSubstr("answered 401"));
  EXPECT_EQ(issued, 3);
}

TEST_F(ClientTest, FollowsBlobsToAnotherHostWithoutItsToken) {
  HttpServer storage([&](const HttpServerRequest& request) { return blob(request); }, "127.0.0.2");
  bend_ = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.starts_with("/token"))
      return HttpServerReply{.body = R"({"token":"secret"})"};
    if (request.header("authorization").empty()) {
      return HttpServerReply{
          .status = 401,
          .headers = {{"WWW-Authenticate", "Bearer realm=" + server_.url() + "/token"}}};
    }
    return HttpServerReply{.status = 307, .headers = {{"Location", storage.url() + "/signed?x=y"}}};
  };
  EXPECT_EQ(read_blob(), blob_);
  ASSERT_EQ(storage.requests().size(), 1u);
  EXPECT_EQ(storage.requests()[0].target, "/signed?x=y");
  EXPECT_EQ(storage.requests()[0].header("authorization"), "");
}

TEST_F(ClientTest, GoesOnWhereABlobWasCut) {
  int cuts = 3;
  bend_ = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.find("/blobs/") == std::string::npos || cuts-- <= 0) return std::nullopt;
    HttpServerReply reply = blob(request);
    reply.cut_after = 50'000;
    reply.reset = cuts == 1;
    return reply;
  };
  EXPECT_EQ(read_blob(), blob_);
  const auto ranges = blob_requests();
  ASSERT_EQ(ranges.size(), 4u);
  EXPECT_EQ(ranges[0], "");
  EXPECT_EQ(ranges[1], "bytes=50000-");
}

TEST_F(ClientTest, GoesOnAfterAStall) {
  int stalls = 1;
  bend_ = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.find("/blobs/") == std::string::npos || stalls-- <= 0) return std::nullopt;
    HttpServerReply reply = blob(request);
    reply.delay_body = 30s;
    return reply;
  };
  client_ = RegistryClient::create(options(500ms));
  EXPECT_EQ(read_blob(), blob_);
}

TEST_F(ClientTest, SkipsWhatItHasWhereRangesAreUnknown) {
  int cuts = 2;
  bend_ = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.find("/blobs/") == std::string::npos) return std::nullopt;
    HttpServerReply reply = {.body = blob_};
    if (cuts-- > 0) reply.cut_after = 70'000;
    return reply;
  };
  EXPECT_EQ(read_blob(), blob_);
}

TEST_F(ClientTest, GoesOnWhenABodyWithoutLengthEndsEarly) {
  int cuts = 1;
  bend_ = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.find("/blobs/") == std::string::npos || cuts-- <= 0) return std::nullopt;
    return HttpServerReply{.body = blob_.substr(0, 1000), .send_length = false};
  };
  EXPECT_EQ(read_blob(), blob_);
}

TEST_F(ClientTest, GivesUpOnABlobThatIsCutForEver) {
  bend_ = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.find("/blobs/") == std::string::npos) return std::nullopt;
    HttpServerReply reply = blob(request);
    reply.cut_after = 1;
    return reply;
  };
  const Error error = failure([&] { read_blob(); });
  EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  EXPECT_THAT(error.message(), HasSubstr("cut the connection 5 times"));
  EXPECT_THAT(error.message(), HasSubstr(descriptor_.digest.str() + " after 5 of"));
}

TEST_F(ClientTest, RefusesRangesItDidNotAskFor) {
  int requests = 0;
  bend_ = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.find("/blobs/") == std::string::npos) return std::nullopt;
    HttpServerReply reply = blob(request);
    if (requests++ == 0) {
      reply.cut_after = 100;
    } else {
      reply.headers[0].second = fmt::format("bytes 7-{0}/{0}", blob_.size());
    }
    return reply;
  };
  EXPECT_EQ(failure([&] { read_blob(); }).kind(), ErrorKind::corrupt);
}

TEST_F(ClientTest, RefusesBlobsOfAnotherSize) {
  const auto check = [&](HttpServerReply reply) {
    bend_ = [=](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
      if (request.target.find("/blobs/") == std::string::npos) return std::nullopt;
      return reply;
    };
    const Error error = failure([&] { read_blob(); });
    EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.message();
    EXPECT_THAT(error.message(), HasSubstr(descriptor_.digest.str()));
  };
  check({.body = blob_.substr(1)});
  check({.body = blob_ + "x"});
  check({.body = blob_ + "x", .send_length = false});
  check({.body = blob_, .endless = true});
}

TEST_F(ClientTest, ReadsEmptyBlobs) {
  blob_.clear();
  descriptor_.digest = Digest::of("");
  descriptor_.size = 0;
  EXPECT_EQ(read_blob(), "");
}

TEST_F(ClientTest, SourcesOutliveTheClient) {
  auto source = client_->blobs(reference())->open(descriptor_);
  client_.reset();
  EXPECT_EQ(read_all(*source, 1 << 20, "blob"), blob_);
}

TEST_F(ClientTest, FindsOutTheSchemeOnceOnly) {
  for (int i = 0; i < 3; ++i) client_->fetch_manifest(reference());
  int pings = 0;
  for (const auto& request : server_.requests()) pings += request.target == "/v2/" ? 1 : 0;
  EXPECT_EQ(pings, 1);
  EXPECT_EQ(server_.connections(), 1);
}

}  // namespace
}  // namespace lade
