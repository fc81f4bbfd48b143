// Pushing, against a registry in memory that can misbehave.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "registry/client.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/fake_registry.hpp"

namespace lade {
namespace {

using namespace std::chrono_literals;
using test::FakeRegistry;
using test::HttpServer;
using test::HttpServerReply;
using test::HttpServerRequest;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

/// Blobs by their bytes; counts how often one was opened.
class Blobs : public BlobProvider {
 public:
  Descriptor add(const std::string& text) {
    Descriptor out;
    out.media_type = media_type::kOciLayerGzip;
    out.digest = Digest::of(text);
    out.size = text.size();
    bytes[out.digest] = text;
    return out;
  }
  std::unique_ptr<ByteSource> open(const Descriptor& descriptor) override {
    ++opened;
    return std::make_unique<StringSource>(bytes.at(descriptor.digest));
  }
  std::string where() const override { return "a test"; }

  std::map<Digest, std::string> bytes;
  int opened = 0;
};

class PushTest : public ::testing::Test {
 protected:
  PushTest() {
    for (int i = 0; text_.size() < 3'000'000; ++i) text_ += fmt::format("{} ", i);
    blob_ = blobs_.add(text_);
  }

  static RegistryOptions options() {
    RegistryOptions out;
    out.files = RegistryFiles{};
    out.http.retry_delay = 1ms;
    out.http.max_retry_delay = 20ms;
    out.http.stall_timeout = 10s;
    return out;
  }
  Reference name(const std::string& rest = "app:1") const {
    return Reference::parse(registry_.host() + "/" + rest);
  }
  BlobPush push(const PushOptions& options = {}) {
    return client_->push_blob(name(), blob_, blobs_, options);
  }
  std::string stored() const { return registry_.blob("app", blob_.digest.str()).value_or("none"); }
  /// The client has a user and a password for the registry from now on.
  void use_password() {
    const std::string path = dir_.path() + "/config.json";
    sys::write_file_atomically(path, fmt::format(R"({{"auths":{{"{}":{{"auth":"{}"}}}}}})",
                                                 registry_.host(), base64("u:p")));
    RegistryOptions known = options();
    known.files->credentials = {path};
    client_ = RegistryClient::create(known);
  }
  /// Cuts the first `times` bodies that are longer than a token's after `bytes`.
  void cut(int times, size_t bytes) {
    cuts_ = times;
    registry_.server().cut_bodies([this, bytes](const auto&) -> std::optional<size_t> {
      if (cuts_-- > 0) return bytes;
      return std::nullopt;
    });
  }

  TempDir dir_ = TempDir::create(::testing::TempDir());
  std::string text_;
  Blobs blobs_;
  Descriptor blob_;
  int cuts_ = 0;
  FakeRegistry registry_;
  std::unique_ptr<RegistryClient> client_ = RegistryClient::create(options());
};

TEST_F(PushTest, UploadsInOneRequest) {
  std::vector<uint64_t> told;
  EXPECT_FALSE(client_->has_blob(name(), blob_));
  EXPECT_EQ(push({.mount_from = {}, .progress = [&](uint64_t n) { told.push_back(n); }}),
            BlobPush::uploaded);
  EXPECT_EQ(stored(), text_);
  EXPECT_EQ(registry_.count("PUT"), 1u);
  EXPECT_EQ(registry_.count("PATCH"), 0u);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.back(), text_.size());
  EXPECT_TRUE(client_->has_blob(name(), blob_));
}

TEST_F(PushTest, SendsNothingThatIsThere) {
  registry_.add_blob("app", text_);
  EXPECT_EQ(push(), BlobPush::present);
  EXPECT_EQ(registry_.count("POST"), 0u);
  EXPECT_EQ(blobs_.opened, 0);
}

TEST_F(PushTest, UploadsEmptyBlobs) {
  blob_ = blobs_.add("");
  EXPECT_EQ(push(), BlobPush::uploaded);
  EXPECT_EQ(stored(), "");
}

TEST_F(PushTest, MountsFromRepositoriesOfTheSameRegistry) {
  registry_.add_blob("base/image", text_);
  const Reference elsewhere = Reference::parse("other.example/base/image");
  EXPECT_EQ(push({.mount_from = {elsewhere, name("app"), name("base/image:x")}, .progress = {}}),
            BlobPush::mounted);
  EXPECT_EQ(stored(), text_);
  EXPECT_EQ(registry_.count("POST"), 1u);
  EXPECT_EQ(registry_.uploaded_bytes(), 0u);
  EXPECT_EQ(blobs_.opened, 0);
}

TEST_F(PushTest, UploadsWhereMountingFails) {
  registry_.mounts = false;
  registry_.add_blob("base", text_);
  EXPECT_EQ(push({.mount_from = {name("base")}, .progress = {}}), BlobPush::uploaded);
  EXPECT_EQ(stored(), text_);
  // The answer to the wish for a mount was an upload already.
  EXPECT_EQ(registry_.count("POST"), 1u);
}

TEST_F(PushTest, UploadsWhereMountingIsForbidden) {
  registry_.bend = [](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.find("from=") == std::string::npos) return std::nullopt;
    return HttpServerReply{.status = 403};
  };
  EXPECT_EQ(push({.mount_from = {name("base")}, .progress = {}}), BlobPush::uploaded);
  EXPECT_EQ(stored(), text_);
}

TEST_F(PushTest, GoesOnWhereAnUploadWasCut) {
  cut(1, 1'000'000);
  EXPECT_EQ(push(), BlobPush::uploaded);
  EXPECT_EQ(stored(), text_);
  EXPECT_EQ(registry_.count("PATCH"), 1u);
  EXPECT_EQ(registry_.uploaded_bytes(), text_.size());
  for (const auto& request : registry_.server().requests()) {
    if (request.method != "PATCH") continue;
    EXPECT_EQ(request.header("content-range"), fmt::format("1000000-{}", text_.size() - 1));
  }
}

TEST_F(PushTest, StartsAgainWhereTheRegistryForgotTheUpload) {
  registry_.resumable = false;
  cut(1, 1'000'000);
  EXPECT_EQ(push(), BlobPush::uploaded);
  EXPECT_EQ(stored(), text_);
  EXPECT_EQ(registry_.count("PATCH"), 0u);
  EXPECT_EQ(registry_.count("POST"), 2u);
}

TEST_F(PushTest, StartsAgainWhereTheRegistryCountsAnotherWay) {
  cut(1, 1'000'000);
  registry_.bend = [](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.method != "GET" || request.target.find("/uploads/") == std::string::npos) {
      return std::nullopt;
    }
    return HttpServerReply{.status = 204, .headers = {{"Range", "0-499999"}}};
  };
  EXPECT_EQ(push(), BlobPush::uploaded);
  EXPECT_EQ(stored(), text_);
  EXPECT_EQ(registry_.count("POST"), 2u);
}

TEST_F(PushTest, GivesUpOnAnUploadThatIsCutForEver) {
  cut(1000, 10);
  const std::string error = error_of([&] { push(); });
  EXPECT_THAT(error, HasSubstr("could not push the blob " + blob_.digest.str() + " to " +
                               registry_.host() + "/app: could not reach " + registry_.host()));
  EXPECT_EQ(stored(), "none");
}

TEST_F(PushTest, RetriesWhatMayPass) {
  int left = 3;
  registry_.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.method == "HEAD" || request.target == "/v2/" || left-- <= 0) return std::nullopt;
    if (left == 2) return HttpServerReply{.status = 429, .headers = {{"Retry-After", "0"}}};
    if (left == 1) return HttpServerReply{.status = 503};
    return HttpServerReply{.no_answer = true};
  };
  EXPECT_EQ(push(), BlobPush::uploaded);
  EXPECT_EQ(stored(), text_);
}

TEST_F(PushTest, NeverCommitsABlobThatIsDamagedHere) {
  const auto damage = [&](std::string bytes) {
    blobs_.bytes[blob_.digest] = std::move(bytes);
    const std::string error = error_of([&] { push(); });
    EXPECT_THAT(error, HasSubstr("the blob " + blob_.digest.str() + " is damaged"));
    EXPECT_EQ(stored(), "none");
  };
  std::string changed = text_;
  changed[5] ^= 1;
  damage(changed);
  damage(text_.substr(1));
  damage(text_ + "x");
  damage("");
}

TEST_F(PushTest, SaysWhatTheRegistrySaid) {
  registry_.bend = [](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.method != "PUT") return std::nullopt;
    return HttpServerReply{.status = 400, .body = R"({"errors":[{"message":"no space left"}]})"};
  };
  EXPECT_THAT(error_of([&] { push(); }),
              HasSubstr(registry_.host() + " answered 400: 'no space left'"));
  const Descriptor manifest{
      std::string(media_type::kOciManifest), Digest::of("{}"), 2, {}, {}, {}, {}};
  EXPECT_THAT(error_of([&] { client_->push_manifest(name(), manifest, "{}"); }),
              HasSubstr("could not push the manifest of " + registry_.host() + "/app:1: "));
}

TEST_F(PushTest, RefusesARegistryThatStoresSomethingElse) {
  const std::string other = Digest::of("other").str();
  registry_.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.method != "PUT") return std::nullopt;
    return HttpServerReply{.status = 201, .headers = {{"Docker-Content-Digest", other}}};
  };
  EXPECT_THAT(error_of([&] { push(); }), HasSubstr(other));
  const Descriptor manifest{
      std::string(media_type::kOciManifest), Digest::of("{}"), 2, {}, {}, {}, {}};
  EXPECT_THAT(error_of([&] { client_->push_manifest(name(), manifest, "{}"); }), HasSubstr(other));
}

TEST_F(PushTest, PutsManifestsByTagAndByDigest) {
  const std::string bytes = R"({"schemaVersion":2})";
  const Descriptor manifest{
      std::string(media_type::kOciIndex), Digest::of(bytes), bytes.size(), {}, {}, {}, {}};
  client_->push_manifest(name("a/b:t"), manifest, bytes);
  EXPECT_EQ(registry_.manifest("a/b", "t"), std::pair(manifest.media_type, bytes));
  client_->push_manifest(name("c@" + manifest.digest.str()), manifest, bytes);
  EXPECT_EQ(registry_.manifest("c", manifest.digest.str()), std::pair(manifest.media_type, bytes));
  EXPECT_THROW(client_->push_manifest(name(), manifest, bytes + " "), Error);
}

TEST_F(PushTest, FetchesSmallBlobsWhole) {
  registry_.add_blob("app", text_);
  EXPECT_EQ(client_->fetch_blob(name(), blob_), text_);
  EXPECT_THAT(error_of([&] { client_->fetch_blob(name(), blob_, 1000); }),
              HasSubstr("is larger than 1000 bytes"));
  registry_.bend = [&](const auto&) {
    return HttpServerReply{.body = std::string(text_.size(), 'x')};
  };
  EXPECT_THAT(error_of([&] { client_->fetch_blob(name(), blob_); }),
              HasSubstr("has other bytes than its digest says"));
}

TEST_F(PushTest, CredentialsDoNotFollowUploadsToAnotherHost) {
  FakeRegistry storage("127.0.0.2");
  use_password();
  for (const bool redirect : {false, true}) {
    // Either the upload's location is there, or the registry redirects the request to it.
    registry_.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
      if (request.header("authorization").empty()) {
        return HttpServerReply{.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=x"}}};
      }
      if (!redirect || request.method != "PUT") return std::nullopt;
      return HttpServerReply{.status = 307, .headers = {{"Location", storage.url() + "/put"}}};
    };
    storage.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
      EXPECT_EQ(request.body, text_);
      return HttpServerReply{.status = 201};
    };
    registry_.upload_base = redirect ? "" : storage.url();
    EXPECT_EQ(push(), BlobPush::uploaded);
  }
  const auto requests = storage.server().requests();
  ASSERT_EQ(requests.size(), 2u);
  for (const auto& request : requests) EXPECT_EQ(request.header("authorization"), "");
}

TEST_F(PushTest, CredentialsAreNotForRealmsOfOtherHosts) {
  // A storage host that a blob is redirected to, or where an upload goes, asks for a token itself.
  FakeRegistry storage("127.0.0.2");
  storage.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.starts_with("/token")) return HttpServerReply{.body = R"({"token":"t"})"};
    return HttpServerReply{
        .status = 401,
        .headers = {{"WWW-Authenticate", "Bearer realm=\"" + storage.url() + "/token\""}}};
  };
  registry_.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.header("authorization").empty()) {
      return HttpServerReply{.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=x"}}};
    }
    if (request.target.find("/blobs/") == std::string::npos) return std::nullopt;
    return HttpServerReply{.status = 307, .headers = {{"Location", storage.url() + "/b"}}};
  };
  use_password();
  EXPECT_THAT(error_of([&] { client_->fetch_blob(name(), blob_); }),
              HasSubstr("redirects to '" + storage.url() + "'"));
  EXPECT_THAT(error_of([&] { push(); }), HasSubstr("asks for credentials"));
  EXPECT_GE(storage.server().requests().size(), 2u);
  for (const auto& request : storage.server().requests()) {
    EXPECT_EQ(request.header("authorization"), "") << request.target;
    EXPECT_THAT(request.target, Not(HasSubstr("token")));
  }
}

TEST_F(PushTest, LoginSendsNothingToRealmsOfOtherHosts) {
  FakeRegistry other("127.0.0.2");
  other.bend = [&](const HttpServerRequest&) -> std::optional<HttpServerReply> {
    return HttpServerReply{
        .status = 401,
        .headers = {{"WWW-Authenticate", "Bearer realm=\"" + other.url() + "/token\""}}};
  };
  registry_.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    return HttpServerReply{.status = 302, .headers = {{"Location", other.url() + request.target}}};
  };
  Credentials credentials;
  credentials.user = "u";
  credentials.password = "p";
  EXPECT_THAT(error_of([&] { client_->login(registry_.host(), credentials); }),
              HasSubstr("asks for credentials"));
  for (const auto& request : other.server().requests()) {
    EXPECT_EQ(request.header("authorization"), "");
    EXPECT_THAT(request.target, Not(HasSubstr("token")));
  }
}

TEST_F(PushTest, AsksForTheRightsItNeeds) {
  std::vector<std::string> scopes;
  registry_.add_blob("base", text_);
  registry_.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.starts_with("/token")) {
      scopes.push_back(request.target.substr(request.target.find("scope=")));
      return HttpServerReply{.body = fmt::format(R"({{"token":"t{}"}})", scopes.size())};
    }
    // A token is good for the one kind of request that it was given for.
    const bool mounting = request.target.find("from=") != std::string::npos;
    const std::string want = mounting ? "Bearer t2" : "Bearer t1";
    if (request.target == "/v2/" || request.header("authorization") == want) return std::nullopt;
    return HttpServerReply{
        .status = 401,
        .headers = {{"WWW-Authenticate", "Bearer realm=\"" + registry_.url() + "/token\""}}};
  };
  EXPECT_EQ(push({.mount_from = {name("base")}, .progress = {}}), BlobPush::mounted);
  EXPECT_EQ(scopes, (std::vector<std::string>{
                        "scope=repository%3Aapp%3Apull%2Cpush",
                        "scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%3Apull"}));
}

TEST_F(PushTest, GetsANewTokenInTheMiddle) {
  int issued = 0;
  registry_.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.starts_with("/token")) {
      return HttpServerReply{.body = fmt::format(R"({{"token":"t{}"}})", ++issued)};
    }
    // The token runs out between POST and PUT.
    const std::string want = request.method == "PUT" ? "Bearer t2" : "Bearer t1";
    if (request.target == "/v2/" || request.header("authorization") == want) return std::nullopt;
    return HttpServerReply{
        .status = 401,
        .headers = {{"WWW-Authenticate", "Bearer realm=\"" + registry_.url() + "/token\""}}};
  };
  EXPECT_EQ(push(), BlobPush::uploaded);
  EXPECT_EQ(stored(), text_);
  EXPECT_EQ(issued, 2);
}

TEST_F(PushTest, SecretsAreInNoError) {
  const TempDir dir = TempDir::create(::testing::TempDir());
  sys::write_file_atomically(dir.path() + "/config.json",
                             fmt::format(R"({{"auths":{{"{}":{{"auth":"{}"}}}}}})",
                                         registry_.host(), base64("user:hunter2")));
  RegistryOptions known = options();
  known.files->credentials = {dir.path() + "/config.json"};
  for (const int status : {401, 403, 400, 500}) {
    client_ = RegistryClient::create(known);
    registry_.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
      if (request.target == "/v2/") return std::nullopt;
      return HttpServerReply{.status = request.header("authorization").empty() ? 401 : status,
                             .headers = {{"WWW-Authenticate", "Basic realm=x"}}};
    };
    const std::string error = error_of([&] { push(); });
    EXPECT_THAT(error, HasSubstr(std::to_string(status)));
    EXPECT_THAT(error, Not(HasSubstr("hunter2")));
    EXPECT_THAT(error, Not(HasSubstr(base64("user:hunter2"))));
  }
}

TEST_F(PushTest, MirrorsAreAskedInOrderAndNamedWhenAllFail) {
  const TempDir dir = TempDir::create(::testing::TempDir());
  FakeRegistry mirror("127.0.0.3");
  const std::string nobody = fmt::format("127.0.0.1:{}", test::free_port());
  sys::write_file_atomically(
      dir.path() + "/registries.conf",
      fmt::format("[[registry]]\nprefix = \"reg.example\"\nlocation = \"{}\"\n"
                  "[[registry.mirror]]\nlocation = \"{}/gone\"\n"
                  "[[registry.mirror]]\nlocation = \"{}/copy\"\n",
                  registry_.host(), nobody, mirror.host()));
  RegistryOptions mirrored = options();
  mirrored.files->registries_conf = {dir.path() + "/registries.conf"};
  client_ = RegistryClient::create(mirrored);
  const Reference image = Reference::parse("reg.example/app:1");
  const std::string error = error_of([&] { client_->fetch_manifest(image); });
  EXPECT_THAT(error, HasSubstr(registry_.host() + " answered 404"));
  EXPECT_THAT(error, HasSubstr("(asked before: could not reach " + nobody));
  EXPECT_THAT(error, HasSubstr(mirror.host() + " answered 404"));

  // The blob is in the registry alone, the manifest in the mirror, too.
  registry_.add_blob("app", text_);
  EXPECT_EQ(client_->fetch_blob(image, blob_), text_);
  mirror.add_blob("copy/app", text_);
  EXPECT_EQ(client_->fetch_blob(image, blob_), text_);
  EXPECT_EQ(mirror.count("GET", "/v2/copy/app/blobs/"), 2u);
  EXPECT_EQ(registry_.count("GET", "/v2/app/blobs/"), 1u);
  EXPECT_EQ(client_->blobs(image)->where(), "reg.example/app");
}

TEST_F(PushTest, ABlobGoesOnAtTheNextPlaceWhereAMirrorBreaksOff) {
  const TempDir dir = TempDir::create(::testing::TempDir());
  FakeRegistry mirror("127.0.0.3");
  sys::write_file_atomically(
      dir.path() + "/registries.conf",
      fmt::format("[[registry]]\nprefix = \"reg.example\"\nlocation = \"{}\"\n"
                  "[[registry.mirror]]\nlocation = \"{}\"\n",
                  registry_.host(), mirror.host()));
  RegistryOptions mirrored = options();
  mirrored.files->registries_conf = {dir.path() + "/registries.conf"};
  client_ = RegistryClient::create(mirrored);
  mirror.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target == "/v2/") return std::nullopt;
    if (!request.header("range").empty()) return HttpServerReply{.status = 500};
    return HttpServerReply{.body = text_, .cut_after = 1'000'000};
  };
  registry_.add_blob("app", text_);
  EXPECT_EQ(client_->fetch_blob(Reference::parse("reg.example/app"), blob_), text_);
}

TEST_F(PushTest, AsksNobodyWhenOffline) {
  RegistryOptions offline = options();
  offline.http.offline = true;
  client_ = RegistryClient::create(offline);
  EXPECT_EQ(
      error_of([&] { client_->fetch_manifest(Reference::parse("reg.example/app:1")); }),
      "could not fetch the manifest of reg.example/app:1: reg.example would have to be asked, "
      "but lade is offline");
  EXPECT_TRUE(registry_.server().requests().empty());
}

TEST_F(PushTest, LoginAsksTheRegistryAndKeepsIdentityTokens) {
  std::string asked;
  registry_.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.target.starts_with("/token")) {
      asked = request.target;
      if (request.header("authorization") != "Basic " + base64("u:right")) {
        return HttpServerReply{.status = 401};
      }
      return HttpServerReply{.body = R"({"token":"t","refresh_token":"keepme"})"};
    }
    if (request.header("authorization") == "Bearer t") return std::nullopt;
    return HttpServerReply{
        .status = 401,
        .headers = {{"WWW-Authenticate", "Bearer realm=\"" + registry_.url() + "/token\""}}};
  };
  Credentials credentials;
  credentials.user = "u";
  credentials.password = "right";
  const Credentials kept = client_->login(registry_.host(), credentials);
  EXPECT_EQ(kept.identity_token, "keepme");
  EXPECT_EQ(kept.password, "");
  EXPECT_THAT(asked, HasSubstr("offline_token=true"));
  credentials.password = "wrong";
  const std::string error = error_of([&] { client_->login(registry_.host(), credentials); });
  EXPECT_THAT(error, HasSubstr("could not log in to " + registry_.host()));
  EXPECT_THAT(error, Not(HasSubstr("wrong\"")));
}

}  // namespace
}  // namespace lade
