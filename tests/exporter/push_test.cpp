// Images to a registry in memory, and what is fetched, mounted and left alone on the way.
#include "exporter/push.hpp"

#include <gmock/gmock.h>

#include "snapshotter/content/reference.hpp"
#include "tests/exporter/exporter_fixture.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/fake_registry.hpp"

namespace lade {
namespace {

using test::FakeRegistry;
using test::HttpServerReply;
using test::HttpServerRequest;
using testing::HasSubstr;

class PushImageTest : public ExporterTest {
 protected:
  void SetUp() override {
    ExporterTest::SetUp();
    RegistryOptions options;
    options.files = RegistryFiles{};
    options.http.retry_delay = std::chrono::milliseconds(1);
    client_ = RegistryClient::create(options);
  }

  WrittenImage image() {
    return write_image(*state_, source_of(sample_stack()), options_of(LayerCompression::gzip));
  }
  std::string name(const std::string& rest) const { return registry_.host() + "/" + rest; }
  /// Whether the repository has all blobs of the image, with the right bytes.
  bool has_all(const std::string& repository, const WrittenImage& image) const {
    std::vector<Descriptor> blobs = image.layers;
    blobs.push_back(image.config);
    return std::all_of(blobs.begin(), blobs.end(), [&](const Descriptor& blob) {
      return Digest::of(registry_.blob(repository, blob.digest.str()).value_or("")) == blob.digest;
    });
  }

  FakeRegistry registry_;
  std::unique_ptr<RegistryClient> client_;
};

TEST_F(PushImageTest, BlobsComeBeforeTheManifestThatNamesThem) {
  const WrittenImage one = image();
  registry_.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.method == "PUT" && request.target.find("/manifests/") != std::string::npos) {
      EXPECT_TRUE(has_all("app", one));
    }
    return std::nullopt;
  };
  PushRequest request;
  request.names = {name("app:1")};
  std::vector<std::string> said;
  std::mutex mutex;
  request.progress = [&](std::string_view item, uint64_t, uint64_t total) {
    const std::lock_guard lock(mutex);
    if (total == 0) said.emplace_back(item);
  };
  const PushSummary summary = push_image(*state_, *client_, one.manifest, request);
  EXPECT_EQ(registry_.manifest("app", "1")->second,
            state_->content().read_blob(one.manifest.digest));
  EXPECT_EQ(summary.uploaded, 4u);  // three layers and the config
  EXPECT_EQ(said,
            (std::vector<std::string>{"pushing layers", "pushing manifest for " + name("app:1") +
                                                            "@" + one.manifest.digest.str()}));
  const PushSummary again = push_image(*state_, *client_, one.manifest, request);
  EXPECT_EQ(again.present, 4u);
  EXPECT_EQ(again.uploaded_bytes, 0u);
}

TEST_F(PushImageTest, ALaterNameMountsWhatAnEarlierOneGot) {
  PushRequest request;
  request.names = {name("app:1"), name("app:2"), name("copy:1")};
  const WrittenImage one = image();
  const PushSummary summary = push_image(*state_, *client_, one.manifest, request);
  EXPECT_EQ(summary.uploaded, 4u);
  EXPECT_EQ(summary.present, 4u);
  EXPECT_EQ(summary.mounted, 4u);
  EXPECT_TRUE(has_all("copy", one));
}

TEST_F(PushImageTest, AnIndexComesAfterItsManifestsAndOnlyItHasTheTag) {
  std::vector<WrittenImage> images = {image()};
  images.front().manifest.platform = Platform::parse("linux/amd64");
  const WrittenSet set = write_index(*state_, images, true);
  registry_.bend = [&](const HttpServerRequest& request) -> std::optional<HttpServerReply> {
    if (request.method == "PUT" && request.target.ends_with("/manifests/1")) {
      EXPECT_TRUE(registry_.manifest("app", images.front().manifest.digest.str()));
    }
    return std::nullopt;
  };
  PushRequest request;
  request.names = {name("app:1")};
  push_image(*state_, *client_, set.target, request);
  EXPECT_EQ(registry_.manifest("app", "1")->first, media_type::kOciIndex);
  EXPECT_EQ(registry_.count("PUT", "/manifests/"), 2u);
}

TEST_F(PushImageTest, ByDigestNothingIsTagged) {
  const WrittenImage one = image();
  PushRequest request;
  request.names = {name("app:1")};
  request.by_digest = true;
  push_image(*state_, *client_, one.manifest, request);
  EXPECT_FALSE(registry_.manifest("app", "1"));
  EXPECT_TRUE(registry_.manifest("app", one.manifest.digest.str()));
}

/// A base image in another state directory, known here by its descriptors alone.
class RemoteBaseTest : public PushImageTest {
 protected:
  void SetUp() override {
    PushImageTest::SetUp();
    if (!state_) return;
    base_state_ = StateDir::open(out("base-state"));
    std::swap(base_state_, state_);
    base_ = image();
    std::swap(base_state_, state_);
    for (size_t i = 0; i < base_.layers.size(); ++i) {
      layers_.push_back(
          state_->layers().add_known(base_.parsed_config.diff_ids[i], base_.layers[i]));
    }
    provider_ = std::make_shared<CountingProvider>(base_state_->content());
  }

  WrittenImage derived() {
    ImageSource source = source_of(layers_);
    source.base_layers = layers_.size();
    source.config.config.labels["own"] = "yes";
    source.provider = [this](LayerId) { return provider_; };
    ImageOptions options = options_of(LayerCompression::gzip);
    options.leave_remote = true;
    return write_image(*state_, source, options);
  }
  PushRequest request() {
    PushRequest out;
    out.names = {name("app:1")};
    out.provider = [this](const Descriptor&) { return provider_; };
    return out;
  }

  std::unique_ptr<StateDir> base_state_;
  WrittenImage base_;
  LayerStack layers_;
  std::shared_ptr<CountingProvider> provider_;
};

TEST_F(RemoteBaseTest, LayersThatTheRegistryHasAreNeverFetched) {
  for (const auto& layer : base_.layers) {
    registry_.add_blob("app", base_state_->content().read_blob(layer.digest));
  }
  const WrittenImage one = derived();
  push_image(*state_, *client_, one.manifest, request());
  EXPECT_EQ(provider_->opened, 0);
  EXPECT_EQ(one.layers, base_.layers);
  EXPECT_TRUE(has_all("app", one));
}

TEST_F(RemoteBaseTest, LayersThatItHasElsewhereAreMounted) {
  for (const auto& layer : base_.layers) {
    registry_.add_blob("base", base_state_->content().read_blob(layer.digest));
  }
  PushRequest mounting = request();
  mounting.sources = [&](const Descriptor&) { return std::vector{Reference::parse(name("base"))}; };
  const WrittenImage one = derived();
  const PushSummary summary = push_image(*state_, *client_, one.manifest, mounting);
  EXPECT_EQ(summary.mounted, base_.layers.size());
  EXPECT_EQ(provider_->opened, 0);
  EXPECT_TRUE(has_all("app", one));
}

TEST_F(RemoteBaseTest, OtherLayersStreamThroughWithoutStaying) {
  const WrittenImage one = derived();
  push_image(*state_, *client_, one.manifest, request());
  EXPECT_EQ(provider_->opened, static_cast<int>(base_.layers.size()));
  EXPECT_TRUE(has_all("app", one));
  for (const auto& layer : base_.layers) EXPECT_FALSE(state_->content().has(layer.digest));
}

TEST_F(RemoteBaseTest, WhatNobodyGivesIsNamed) {
  const WrittenImage one = derived();
  PushRequest alone = request();
  alone.provider = nullptr;
  const std::string error = error_of([&] { push_image(*state_, *client_, one.manifest, alone); });
  EXPECT_THAT(error, HasSubstr("could not push the blob sha256:"));
  EXPECT_THAT(error, HasSubstr("it is not on this machine, and nothing gives it"));
  EXPECT_FALSE(registry_.manifest("app", "1"));
}

}  // namespace
}  // namespace lade
