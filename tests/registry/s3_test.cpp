// Objects in buckets, against a server in memory that can misbehave. That signatures are right is
// seen in aws_test.cpp and end to end; here it matters what is asked for, and how often.
#include <map>
#include <mutex>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/s3/s3_cache.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/http_server.hpp"

namespace lade {
namespace {

using namespace std::chrono_literals;
using test::HttpServer;
using test::HttpServerReply;
using test::HttpServerRequest;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class OneBlob : public BlobProvider {
 public:
  explicit OneBlob(std::string text) : text_(std::move(text)) {
    blob.media_type = media_type::kOciLayerGzip;
    blob.digest = Digest::of(text_);
    blob.size = text_.size();
  }
  std::unique_ptr<ByteSource> open(const Descriptor&) override {
    return std::make_unique<StringSource>(text_);
  }
  std::string where() const override { return "a test"; }
  void damage() { text_.back() ^= 1; }
  Descriptor blob;

 private:
  std::string text_;
};

/// What S3 does with paths "/bucket/KEY".
class FakeS3 {
 public:
  HttpServerReply answer(const HttpServerRequest& request) {
    const std::lock_guard lock(mutex_);
    const size_t question = request.target.find('?');
    const std::string path = request.target.substr(0, question);
    const std::string query =
        question == std::string::npos ? "" : request.target.substr(question + 1);
    log.push_back(request.method + " " + request.target);
    if (misbehave) {
      if (auto reply = misbehave(request)) return *reply;
    }
    if (request.method == "POST" && query == "uploads=") {
      return {.body = "<R><UploadId>an/id</UploadId></R>"};
    }
    if (request.method == "PUT" && query.starts_with("partNumber=")) {
      parts[query] = request.body;
      return {.headers = {{"ETag", "\"" + Digest::of(request.body).hex() + "\""}}};
    }
    if (request.method == "POST") {
      std::string& object = objects[path];
      object.clear();
      for (size_t number = 1; number <= parts.size(); ++number) {
        object += parts.at(fmt::format("partNumber={}&uploadId=an%2Fid", number));
      }
      return {.body = "<Done/>"};
    }
    if (request.method == "DELETE") return {.status = 204};
    if (request.method == "PUT") {
      if (!request.header("x-amz-copy-source").empty()) return {.body = "<CopyObjectResult/>"};
      objects[path] = request.body;
      return {};
    }
    const auto object = objects.find(path);
    if (object == objects.end()) {
      return {.status = 404, .body = "<Error><Code>NoSuchKey</Code></Error>"};
    }
    const std::string range = request.header("range");
    if (range.empty()) {
      return {.headers = {{"Last-Modified", "Fri, 24 May 2013 00:00:00 GMT"}},
              .body = object->second};
    }
    const size_t from = std::stoul(range.substr(6));
    return {.status = 206, .body = object->second.substr(from)};
  }

  std::function<std::optional<HttpServerReply>(const HttpServerRequest&)> misbehave;
  std::map<std::string, std::string> objects;
  std::map<std::string, std::string> parts;
  std::vector<std::string> log;
  std::mutex mutex_;
};

class S3Test : public testing::Test {
 protected:
  S3Options options() const {
    S3Options out;
    out.bucket = "bucket";
    out.region = "eu-west-1";
    out.endpoint_url = server_.url();
    out.credentials = AwsCredentials{"id", "secret", ""};
    return out;
  }
  static HttpOptions http() {
    HttpOptions out;
    out.retry_delay = 1ms;
    out.max_retry_delay = 20ms;
    out.stall_timeout = 10s;
    return out;
  }
  std::shared_ptr<S3Client> client() const { return S3Client::create(options(), http()); }
  std::string read(S3Client& from, const std::string& key, const Descriptor& blob) {
    const auto source = from.open(key, blob);
    return read_all(*source, 100u << 20, "a test");
  }
  void reply_once(HttpServerReply reply) {
    s3_.misbehave = [this, reply](const HttpServerRequest&) -> std::optional<HttpServerReply> {
      return std::exchange(first_, false) ? std::optional(reply) : std::nullopt;
    };
    first_ = true;
  }

  static std::string text(size_t size) {
    const std::string filler(64 * 1024, 'x');
    std::string out;
    for (int i = 0; out.size() < size; ++i) out += fmt::format("{}{}", i, filler);
    return out.substr(0, size);
  }

  FakeS3 s3_;
  bool first_ = true;
  HttpServer server_{[this](const HttpServerRequest& request) { return s3_.answer(request); }};
};

TEST_F(S3Test, WhatIsPutIsThere) {
  const auto s3 = client();
  OneBlob source(text(1'000'000));
  EXPECT_FALSE(s3->head("a/sha256:1"));
  EXPECT_FALSE(s3->get("a/x", 100));
  s3->put_blob("a/sha256:1", source.blob, source);
  s3->put("a/x", "small", "text/plain");
  EXPECT_EQ(s3->head("a/sha256:1")->size, source.blob.size);
  EXPECT_EQ(s3->head("a/sha256:1")->modified, 1369353600);
  EXPECT_EQ(s3->get("a/x", 100), "small");
  EXPECT_EQ(Digest::of(read(*s3, "a/sha256:1", source.blob)), source.blob.digest);
  EXPECT_THAT(s3_.log, Contains("PUT /bucket/a/sha256%3A1"));
  const auto request = server_.requests().back();
  EXPECT_THAT(request.header("authorization"), HasSubstr("Credential=id/"));
  EXPECT_THAT(request.header("authorization"), HasSubstr("/eu-west-1/s3/aws4_request"));
}

TEST_F(S3Test, ADamagedBlobIsNeverStored) {
  OneBlob source(text(1'000'000));
  source.damage();
  EXPECT_THAT(error_of([&] { client()->put_blob("x", source.blob, source); }),
              HasSubstr("is damaged"));
  EXPECT_TRUE(s3_.objects.empty());
}

TEST_F(S3Test, LargeBlobsGoInParts) {
  OneBlob source(text(40u << 20));
  client()->put_blob("big", source.blob, source);
  EXPECT_EQ(s3_.parts.size(), 3U);
  EXPECT_EQ(Digest::of(s3_.objects.at("/bucket/big")), source.blob.digest);
}

TEST_F(S3Test, ALostPartIsSentAgainAlone) {
  OneBlob source(text(40u << 20));
  int failures = 0;
  s3_.misbehave = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.find("partNumber=2") == std::string::npos || ++failures > 2) {
      return std::nullopt;
    }
    return HttpServerReply{.status = 503, .headers = {}, .body = "<Error/>"};
  };
  client()->put_blob("big", source.blob, source);
  EXPECT_EQ(Digest::of(s3_.objects.at("/bucket/big")), source.blob.digest);
  EXPECT_EQ(
      std::count(s3_.log.begin(), s3_.log.end(), "PUT /bucket/big?partNumber=1&uploadId=an%2Fid"),
      1);
}

TEST_F(S3Test, AnUploadThatFailsIsGivenUp) {
  OneBlob source(text(40u << 20));
  source.damage();
  EXPECT_THAT(error_of([&] { client()->put_blob("big", source.blob, source); }),
              HasSubstr("is damaged"));
  EXPECT_EQ(s3_.log.back(), "DELETE /bucket/big?uploadId=an%2Fid");
  EXPECT_TRUE(s3_.objects.empty());
}

TEST_F(S3Test, AFailureInTheBodyOfASuccessIsOne) {
  OneBlob source(text(40u << 20));
  int failures = 0;
  s3_.misbehave = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.method != "POST" || request.target.find("uploads") != std::string::npos ||
        ++failures > 1) {
      return std::nullopt;
    }
    return HttpServerReply{.body = "<Error><Code>InternalError</Code></Error>"};
  };
  client()->put_blob("big", source.blob, source);
  EXPECT_EQ(failures, 2);
  EXPECT_EQ(s3_.objects.size(), 1U);
}

TEST_F(S3Test, AnUploadWhoseEndWasLostIsLookedFor) {
  OneBlob source(text(40u << 20));
  int ends = 0;
  s3_.misbehave = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.method != "POST" || request.target.find("uploads") != std::string::npos) {
      return std::nullopt;
    }
    if (++ends > 1) {
      return HttpServerReply{.status = 404, .body = "<Error><Code>NoSuchUpload</Code></Error>"};
    }
    s3_.objects["/bucket/big"] = std::string(source.blob.size, 'x');
    return HttpServerReply{.no_answer = true};
  };
  client()->put_blob("big", source.blob, source);
  EXPECT_EQ(ends, 2);
}

TEST_F(S3Test, ReadingGoesOnAfterCuts) {
  OneBlob source(text(3'000'000));
  s3_.objects["/bucket/x"] = read_all(*source.open({}), 100u << 20, "x");
  int cuts = 0;
  HttpServer cutting([&](const HttpServerRequest& request) {
    HttpServerReply reply = s3_.answer(request);
    if (++cuts <= 3) reply.cut_after = 700'000;
    return reply;
  });
  S3Options at = options();
  at.endpoint_url = cutting.url();
  EXPECT_EQ(Digest::of(read(*S3Client::create(at, http()), "x", source.blob)), source.blob.digest);
  EXPECT_EQ(cuts, 4);
}

TEST_F(S3Test, AnObjectOfAnotherSizeIsRefused) {
  OneBlob source(text(1000));
  s3_.objects["/bucket/x"] = "short";
  EXPECT_THAT(error_of([&] { read(*client(), "x", source.blob); }),
              HasSubstr("has 5 bytes, its descriptor says"));
}

TEST_F(S3Test, ErrorsSayWhatTheServerSaid) {
  reply_once({.status = 403,
              .body = "<Error><Code>AccessDenied</Code><Message>not for &quot;id&quot;</Message>"
                      "</Error>"});
  const std::string error = error_of([&] { client()->get("x", 100); });
  EXPECT_THAT(error, HasSubstr("s3://bucket answered 403 AccessDenied"));
  EXPECT_THAT(error, HasSubstr("not for"));
  EXPECT_THAT(error, Not(HasSubstr("secret")));
}

TEST_F(S3Test, NothingIsFollowedToAnotherHost) {
  reply_once({.status = 307, .headers = {{"Location", "http://127.0.0.9:1/x"}}});
  EXPECT_THAT(error_of([&] { client()->get("x", 100); }), HasSubstr("which gets no credentials"));
}

TEST_F(S3Test, BucketsThatFitStandInTheHostsName) {
  S3Options at = options();
  at.endpoint_url = "http://localhost" + server_.url().substr(server_.url().rfind(':'));
  // Nobody resolves that name here; the error says which it was.
  HttpOptions once = http();
  once.offline = true;
  EXPECT_THAT(error_of([&] { S3Client::create(at, once)->head("x"); }),
              HasSubstr("bucket.localhost"));
  at.bucket = "with.dots";
  EXPECT_THAT(error_of([&] { S3Client::create(at, once)->head("x"); }),
              Not(HasSubstr("with.dots.localhost")));
  at.bucket = "bucket";
  at.use_path_style = true;
  EXPECT_THAT(error_of([&] { S3Client::create(at, once)->head("x"); }),
              Not(HasSubstr("bucket.localhost")));
}

TEST_F(S3Test, ACacheKeepsWhatItHasAlive) {
  S3CacheOptions at{.bucket = options(), .prefix = "team/"};
  OneBlob source(text(1000));
  const auto cache = s3_cache(at, http());
  EXPECT_FALSE(cache->has_blob(source.blob));
  cache->write_blob(source.blob, source);
  const std::string key = "team/blobs/" + source.blob.digest.str();
  // The server says that it is years old.
  EXPECT_TRUE(cache->has_blob(source.blob));
  EXPECT_EQ(server_.requests().back().header("x-amz-copy-source"),
            "/bucket/team/blobs/sha256%3A" + source.blob.digest.hex());
  // One of another size is what somebody else left.
  s3_.objects.begin()->second += "x";
  EXPECT_FALSE(cache->has_blob(source.blob));
}

TEST_F(S3Test, ACacheHasSeveralNames) {
  S3CacheOptions at{.bucket = options(), .names = {"main", "other"}};
  const auto cache = s3_cache(at, http());
  EXPECT_FALSE(cache->read_manifest());
  Descriptor written;
  written.media_type = media_type::kOciManifest;
  cache->write_manifest(written, "{}");
  EXPECT_EQ(s3_.objects.size(), 2U);
  s3_.objects.erase("/bucket/manifests/main");
  const auto manifest = cache->read_manifest();
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->bytes, "{}");
  EXPECT_EQ(manifest->descriptor.digest, Digest::of("{}"));
}

}  // namespace
}  // namespace lade
