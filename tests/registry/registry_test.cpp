// The client against Debian's docker-registry, filled by skopeo.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "registry/client.hpp"
#include "snapshotter/content/content_store.hpp"
#include "snapshotter/content/decompress.hpp"
#include "snapshotter/content/image_config.hpp"
#include "snapshotter/content/manifest.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/registry_process.hpp"

namespace lade {
namespace {

using ::testing::HasSubstr;

/// An OCI layout with an image for amd64 and one for arm64 under the tag "multi", made by lade's
/// own content library and read by skopeo.
class Layout {
 public:
  explicit Layout(const std::string& dir) : dir_(dir) {
    sys::make_dirs(dir + "/blobs/sha256");
    sys::write_file_atomically(dir + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    Index images;
    images.media_type = media_type::kOciIndex;
    for (const char* platform : {"linux/amd64", "linux/arm64"}) {
      images.manifests.push_back(image(Platform::parse(platform)));
    }
    multi = put(images.serialize(), media_type::kOciIndex);
    multi.annotations["org.opencontainers.image.ref.name"] = "multi";
    Index root;
    root.media_type = media_type::kOciIndex;
    root.manifests = {multi};
    sys::write_file_atomically(dir + "/index.json", root.serialize());
    multi.annotations.clear();
  }

  Descriptor multi;
  std::string layer_text = std::string(100'000, 'l');

 private:
  Descriptor put(const std::string& bytes, std::string_view type) const {
    Descriptor out;
    out.media_type = type;
    out.digest = Digest::of(bytes);
    out.size = bytes.size();
    sys::write_file_atomically(dir_ + "/blobs/sha256/" + out.digest.hex(), bytes);
    return out;
  }

  Descriptor image(const Platform& platform) const {
    const std::string file = dir_ + "/layer";
    sys::write_file_atomically(file, layer_text + platform.str());
    test::run_command("gzip -nfk " + file, dir_ + "/gzip-log");
    ImageConfig config;
    config.platform = platform;
    config.config.env = {"A=<&>"};
    config.diff_ids = {{Digest::of(layer_text + platform.str())}};
    config.history = {{Timestamp{1, 0}, "made by <hand>", "", "", false}};
    Manifest manifest;
    manifest.media_type = media_type::kOciManifest;
    manifest.config = put(config.serialize(), media_type::kOciConfig);
    manifest.layers = {put(sys::read_file(file + ".gz").value(), media_type::kOciLayerGzip)};
    Descriptor out = put(manifest.serialize(), media_type::kOciManifest);
    out.platform = platform;
    return out;
  }

  std::string dir_;
};

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::RegistryProcess::available()) {
      GTEST_SKIP() << "docker-registry and skopeo are not installed";
    }
  }

  TempDir dir_ = TempDir::create(::testing::TempDir());
  std::unique_ptr<RegistryClient> client_ = RegistryClient::create({.files = RegistryFiles{}});
};

/// Pulls `reference` for `platform` as a build does; returns the config and the layer's text.
std::pair<ImageConfig, std::string> pull(RegistryClient& client, const Reference& reference,
                                         const char* platform) {
  const RemoteManifest top = client.fetch_manifest(reference);
  const Index index = Index::parse(top.bytes, top.descriptor.media_type);
  Reference by_digest = reference;
  by_digest.digest = index.select(Platform::parse(platform))->digest;
  const RemoteManifest remote = client.fetch_manifest(by_digest);
  const Manifest manifest = Manifest::parse(remote.bytes, remote.descriptor.media_type);
  const auto blobs = client.blobs(reference);
  const auto config = blobs->open(manifest.config);
  const auto layer = decompress(blobs->open(manifest.layers.at(0)));
  return {ImageConfig::parse(read_all(*config, 1 << 20, "config")),
          read_all(*layer, 1 << 20, "layer")};
}

TEST_F(RegistryTest, PullsAMultiPlatformImage) {
  const Layout layout(dir_.path());
  const test::RegistryProcess registry;
  registry.push(dir_.path() + ":multi", "team/app:1");
  const Reference reference = Reference::parse(registry.host() + "/team/app:1");
  EXPECT_EQ(client_->resolve(reference), layout.multi);
  EXPECT_EQ(client_->fetch_manifest(reference).descriptor, layout.multi);
  for (const char* platform : {"linux/amd64", "linux/arm64"}) {
    const auto [config, layer] = pull(*client_, reference, platform);
    EXPECT_EQ(config.platform.str(), platform);
    EXPECT_EQ(layer, layout.layer_text + platform);
    EXPECT_EQ(config.diff_ids.at(0).digest, Digest::of(layer));
  }
}

TEST_F(RegistryTest, AgreesWithSkopeoOnTheConfig) {
  const Layout layout(dir_.path());
  const test::RegistryProcess registry;
  registry.push(dir_.path() + ":multi", "app:1");
  const std::string out = dir_.path() + "/config.json";
  test::run_command(
      "skopeo --override-arch amd64 inspect --tls-verify=false --config --raw docker://" +
          registry.host() + "/app:1",
      out);
  const std::string config = sys::read_file(out).value();
  EXPECT_THAT(config, HasSubstr("\\u003chand\\u003e"));
  EXPECT_EQ(ImageConfig::parse(config).serialize(), config);
}

TEST_F(RegistryTest, SpeaksHttpsToALoopbackRegistryThatDoes) {
  const Layout layout(dir_.path());
  const test::RegistryProcess registry(true);
  registry.push(dir_.path() + ":multi", "app:1");
  const Reference reference = Reference::parse(registry.host() + "/app:1");
  EXPECT_EQ(client_->resolve(reference), layout.multi);
  EXPECT_EQ(pull(*client_, reference, "linux/amd64").second, layout.layer_text + "linux/amd64");
}

TEST_F(RegistryTest, SaysWhatIsMissing) {
  const Layout layout(dir_.path());
  const test::RegistryProcess registry;
  registry.push(dir_.path() + ":multi", "app:1");
  const auto failure = [&](const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::not_found);
      return error.message();
    }
    return std::string("no error");
  };
  EXPECT_THAT(failure([&] { client_->resolve(Reference::parse(registry.host() + "/app:2")); }),
              HasSubstr("'manifest unknown'"));
  EXPECT_THAT(failure([&] { client_->resolve(Reference::parse(registry.host() + "/nothing")); }),
              HasSubstr("answered 404"));
  Descriptor none;
  none.digest = Digest::of("none");
  none.size = 4;
  const auto blobs = client_->blobs(Reference::parse(registry.host() + "/app"));
  EXPECT_THAT(failure([&] { blobs->open(none); }), HasSubstr("'blob unknown to registry'"));
}

TEST_F(RegistryTest, ResumesFromARealRegistry) {
  const Layout layout(dir_.path());
  const test::RegistryProcess registry;
  registry.push(dir_.path() + ":multi", "app:1");
  const Reference reference = Reference::parse(registry.host() + "/app:1");
  const auto http = HttpClient::create({});
  const auto top = client_->fetch_manifest(reference);
  const Descriptor arm = Index::parse(top.bytes, top.descriptor.media_type).manifests.at(1);
  const std::string url =
      fmt::format("http://{}/v2/app/manifests/{}", registry.host(), arm.digest.str());
  // The registry's own answer to a range is the shape that the client expects.
  const auto whole = http->send({url, HttpMethod::get, {"Accept: " + arm.media_type}, ""});
  const Manifest manifest = Manifest::parse(read_all(*whole, 1 << 20, "manifest"), "");
  const Descriptor& layer = manifest.layers.at(0);
  const auto part =
      http->send({fmt::format("http://{}/v2/app/blobs/{}", registry.host(), layer.digest.str()),
                  HttpMethod::get,
                  {"Range: bytes=10-"},
                  ""});
  EXPECT_EQ(part->status(), 206);
  EXPECT_EQ(part->header("content-range"),
            fmt::format("bytes 10-{0}/{1}", layer.size - 1, layer.size));
}

TEST_F(RegistryTest, FollowsTheRedirectsOfARealRegistry) {
  const Layout layout(dir_.path());
  std::unique_ptr<test::RegistryProcess> registry;
  test::HttpServer storage(
      [&](const test::HttpServerRequest& request) {
        const auto bytes = sys::read_file(registry->directory() + "/data" + request.target);
        if (!bytes) return test::HttpServerReply{.status = 404};
        return test::HttpServerReply{.body = *bytes};
      },
      "127.0.0.2");
  registry = std::make_unique<test::RegistryProcess>(
      false, "middleware:\n  storage:\n    - name: redirect\n      options: {baseurl: \"" +
                 storage.url() + "\"}\n");
  registry->push(dir_.path() + ":multi", "app:1");
  const Reference reference = Reference::parse(registry->host() + "/app:1");
  EXPECT_EQ(pull(*client_, reference, "linux/amd64").second, layout.layer_text + "linux/amd64");
  EXPECT_EQ(storage.requests().size(), 2u);
}

TEST_F(RegistryTest, RefusesTokensOfAnInsecureRealmOverTls) {
  const test::RegistryProcess registry(
      true,
      "auth:\n  token:\n    realm: http://127.0.0.1:1/token\n    service: s\n    issuer: i\n"
      "    rootcertbundle: /etc/ssl/certs/ca-certificates.crt\n");
  try {
    client_->resolve(Reference::parse(registry.host() + "/app:1"));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(),
                HasSubstr("'http://127.0.0.1:1/token', which is not an https URL"));
  }
}

}  // namespace
}  // namespace lade
