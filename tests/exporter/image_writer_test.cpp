#include <thread>

#include <tbb/global_control.h>

#include "snapshotter/content/decompress.hpp"
#include "tests/exporter/exporter_fixture.hpp"

namespace lade {
namespace {

class ImageWriterTest : public ExporterTest {
 protected:
  std::string problems(const WrittenImage& image) {
    const std::string path = out("check.tar");
    export_oci(*state_, image, {.dest = path, .tar = true, .names = {}});
    return image_problems(path);
  }

  std::string tar_of(const Descriptor& layer) {
    auto source =
        decompress(std::make_unique<FdSource>(*state_->content().open_blob(layer.digest)));
    return read_all(*source, 1 << 30, "layer");
  }

  // An image in a store of its own, and its layers as known, unfetched layers of ours.
  struct Base {
    std::unique_ptr<StateDir> state;
    WrittenImage image;
    LayerStack layers;
    std::shared_ptr<CountingProvider> provider;
    LayerProvider lookup() const {
      return [blobs = provider](LayerId) { return blobs; };
    }
  };
  Base base_image(const ImageOptions& options) {
    Base base;
    base.state = StateDir::open(out("base-state"));
    std::swap(base.state, state_);
    base.image = write_image(*state_, source_of(sample_stack()), options);
    std::swap(base.state, state_);
    for (size_t i = 0; i < base.image.layers.size(); ++i) {
      base.layers.push_back(
          state_->layers().add_known(base.image.parsed_config.diff_ids[i], base.image.layers[i]));
    }
    base.provider = std::make_shared<CountingProvider>(base.state->content());
    return base;
  }

  LayerId own_layer(const LayerStack& below) {
    return layer([](const std::string& root) { write_text(root + "/own", "mine", 1'900'000'000); },
                 below);
  }
};

TEST_F(ImageWriterTest, EveryCompressionAndMediaTypeIsValid) {
  const LayerStack stack = sample_stack();
  for (const auto type :
       {LayerCompression::uncompressed, LayerCompression::gzip, LayerCompression::zstd}) {
    for (const bool oci : {true, false}) {
      const WrittenImage image = write_image(*state_, source_of(stack), options_of(type, oci));
      EXPECT_EQ(problems(image), "") << static_cast<int>(type) << oci;
      EXPECT_EQ(image.manifest.media_type,
                oci ? media_type::kOciManifest : media_type::kDockerManifest);
    }
  }
}

TEST_F(ImageWriterTest, DiffIdsAreThoseOfThePlainTarsWhateverTheCompression) {
  const LayerStack stack = sample_stack();
  const auto plain =
      write_image(*state_, source_of(stack), options_of(LayerCompression::uncompressed));
  const auto zstd = write_image(*state_, source_of(stack), options_of(LayerCompression::zstd));
  EXPECT_EQ(plain.parsed_config.diff_ids, zstd.parsed_config.diff_ids);
  for (size_t i = 0; i < stack.size(); ++i) {
    EXPECT_EQ(plain.layers[i].digest, plain.parsed_config.diff_ids[i].digest);
    EXPECT_EQ(state_->layers().info(stack[i])->diff_id, plain.parsed_config.diff_ids[i]);
  }
}

TEST_F(ImageWriterTest, TheSameImageHasTheSameDigestOnOneThreadAndInAnotherState) {
  const auto first =
      write_image(*state_, source_of(sample_stack()), options_of(LayerCompression::gzip));
  state_ = StateDir::open(out("other-state"));
  const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
  const auto second =
      write_image(*state_, source_of(sample_stack()), options_of(LayerCompression::gzip));
  EXPECT_EQ(first.manifest, second.manifest);
}

TEST_F(ImageWriterTest, AnExistingBlobIsReusedAndAMissingOneIsMadeAgain) {
  const LayerStack stack = sample_stack();
  const ImageOptions options = options_of(LayerCompression::gzip);
  const auto first = write_image(*state_, source_of(stack), options);
  const std::string path = state_->content().path(first.layers[0].digest);
  const auto before = sys::lstatat(AT_FDCWD, path)->st_ino;
  EXPECT_EQ(write_image(*state_, source_of(stack), options).manifest, first.manifest);
  EXPECT_EQ(sys::lstatat(AT_FDCWD, path)->st_ino, before);
  state_->content().remove(first.layers[0].digest);
  EXPECT_EQ(write_image(*state_, source_of(stack), options).manifest, first.manifest);
  EXPECT_TRUE(state_->content().has(first.layers[0].digest));
}

TEST_F(ImageWriterTest, ALazyImageHasItsIdAndNoBlobsUntilItIsCompleted) {
  const Base base = base_image(options_of(LayerCompression::gzip));
  LayerStack stack = base.layers;
  stack.push_back(layer([](const std::string& root) { write_text(root + "/own", "mine"); }));
  ImageSource source = source_of(stack);
  source.provider = base.lookup();
  source.base_layers = base.layers.size();
  ImageOptions options = options_of(LayerCompression::gzip);
  options.lazy = true;
  const auto lazy = write_image(*state_, source, options);
  EXPECT_EQ(base.provider->opened, 0);
  for (const auto& blob : lazy.layers) EXPECT_FALSE(state_->content().has(blob.digest));
  EXPECT_EQ(lazy.layers.back().digest, lazy.parsed_config.diff_ids.back().digest);
  EXPECT_EQ(write_image(*state_, source, options).manifest, lazy.manifest);

  const Descriptor whole = complete_image(*state_, lazy.manifest);
  EXPECT_NE(whole.digest, lazy.manifest.digest);
  EXPECT_EQ(complete_image(*state_, whole), whole);
  // What a base left elsewhere stays there.
  EXPECT_EQ(base.provider->opened, 0);
  const auto eager = write_image(*state_, source, options_of(LayerCompression::gzip));
  EXPECT_EQ(eager.config, lazy.config);
  EXPECT_EQ(eager.manifest.digest, whole.digest);
  EXPECT_EQ(problems(eager), "");
  EXPECT_EQ(write_image(*state_, source, options).manifest.digest, whole.digest)
      << "blobs that are known describe their layers";
}

TEST_F(ImageWriterTest, EpochAndTheBaseImagesTimesAreInConfigAndHistory) {
  ImageSource source = source_of(sample_stack());
  source.config.history[0].created = Timestamp{1'500'000'000, 0};
  const auto image = write_image(*state_, source, options_of(LayerCompression::gzip));
  EXPECT_EQ(image.parsed_config.created, (Timestamp{1'650'000'000, 0}));
  EXPECT_EQ(image.parsed_config.history[0].created, (Timestamp{1'500'000'000, 0}));
  EXPECT_EQ(image.parsed_config.history[1].created, (Timestamp{1'650'000'000, 0}));
}

TEST_F(ImageWriterTest, WithoutAnEpochTheTimeIsNow) {
  ImageOptions options = options_of(LayerCompression::gzip);
  options.source_date_epoch.reset();
  const Timestamp before = Timestamp::now();
  const auto image = write_image(*state_, source_of(sample_stack()), options);
  EXPECT_GE(*image.parsed_config.created, before);
  EXPECT_EQ(image.parsed_config.history.back().created, image.parsed_config.created);
}

TEST_F(ImageWriterTest, HistoryThatDoesNotMatchTheLayersIsMended) {
  ImageSource source = source_of(sample_stack());
  source.config.history.erase(source.config.history.begin());
  auto image = write_image(*state_, source, options_of(LayerCompression::gzip));
  EXPECT_EQ(problems(image), "");
  EXPECT_NE(image.parsed_config.history[0].comment, "");
  source.config = config_for(5);
  EXPECT_EQ(problems(write_image(*state_, source, options_of(LayerCompression::gzip))), "");
}

TEST_F(ImageWriterTest, BaseLayersPassThroughUntouchedAndAreFetchedOnce) {
  Base base = base_image(options_of(LayerCompression::zstd, true));
  ImageSource source;
  source.layers = base.layers;
  source.layers.push_back(own_layer({}));
  source.base_layers = base.layers.size();
  source.config = config_for(source.layers.size());
  source.provider = base.lookup();
  const auto image = write_image(*state_, source, options_of(LayerCompression::gzip));
  EXPECT_EQ(base.provider->opened, 3);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(image.layers[i], base.image.layers[i]);
  EXPECT_EQ(image.layers[3].media_type, media_type::kOciLayerGzip);
  EXPECT_EQ(problems(image), "");
  write_image(*state_, source, options_of(LayerCompression::gzip));
  EXPECT_EQ(base.provider->opened, 3);
  for (size_t i = 0; i < 3; ++i) EXPECT_FALSE(state_->layers().has_directory(base.layers[i]));
}

TEST_F(ImageWriterTest, DockerBaseLayersGetOciTypesAndKeepTheirBytes) {
  Base base = base_image(options_of(LayerCompression::gzip, false));
  ImageSource source;
  source.layers = base.layers;
  source.config = config_for(3);
  source.provider = base.lookup();
  const auto image = write_image(*state_, source, options_of(LayerCompression::gzip, true));
  EXPECT_EQ(image.layers[0].media_type, media_type::kOciLayerGzip);
  EXPECT_EQ(image.layers[0].digest, base.image.layers[0].digest);
  EXPECT_EQ(problems(image), "");
}

TEST_F(ImageWriterTest, ForceReencodesBaseLayersButKeepsTheirDiffIds) {
  Base base = base_image(options_of(LayerCompression::gzip));
  ImageSource source;
  source.layers = base.layers;
  source.config = config_for(3);
  source.provider = base.lookup();
  ImageOptions options = options_of(LayerCompression::zstd);
  options.compression.force = true;
  const auto image = write_image(*state_, source, options);
  EXPECT_EQ(image.layers[0].media_type, media_type::kOciLayerZstd);
  EXPECT_EQ(image.parsed_config.diff_ids, base.image.parsed_config.diff_ids);
  EXPECT_EQ(problems(image), "");
  options.compression.type = LayerCompression::gzip;
  EXPECT_EQ(write_image(*state_, source, options).layers[0], base.image.layers[0]);
}

TEST_F(ImageWriterTest, AMissingBaseBlobWithoutProviderIsAnError) {
  Base base = base_image(options_of(LayerCompression::gzip));
  ImageSource source;
  source.layers = base.layers;
  source.config = config_for(3);
  EXPECT_THROW(write_image(*state_, source, options_of(LayerCompression::gzip)), Error);
}

TEST_F(ImageWriterTest, RewriteTimestampClampsThisBuildsLayersOnly) {
  Base base = base_image(options_of(LayerCompression::gzip));
  ImageSource source;
  source.layers = base.layers;
  source.layers.push_back(own_layer({}));
  source.base_layers = base.layers.size();
  source.config = config_for(source.layers.size());
  source.provider = base.lookup();
  const auto plain = write_image(*state_, source, options_of(LayerCompression::gzip));
  ImageOptions options = options_of(LayerCompression::gzip);
  options.rewrite_timestamp = true;
  const auto clamped = write_image(*state_, source, options);
  EXPECT_EQ(problems(clamped), "");
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(clamped.layers[i], plain.layers[i]);
  EXPECT_NE(clamped.parsed_config.diff_ids[3], plain.parsed_config.diff_ids[3]);
  // As BuildKit notes it; Docker's schema has no place for it.
  EXPECT_EQ(clamped.layers[3].annotations.at("buildkit/rewritten-timestamp"),
            std::to_string(options.source_date_epoch->seconds));
  // The layer itself keeps its identity, and both blobs are remembered.
  EXPECT_EQ(state_->layers().info(source.layers[3])->diff_id, plain.parsed_config.diff_ids[3]);
  EXPECT_EQ(write_image(*state_, source, options).manifest, clamped.manifest);
  EXPECT_EQ(write_image(*state_, source, options_of(LayerCompression::gzip)).manifest,
            plain.manifest);
  sys::write_file_atomically(out("layer.tar"), tar_of(clamped.layers[3]));
  EXPECT_NE(output_of("TZ=UTC tar tvf " + out("layer.tar")).find("2022-04-15"), std::string::npos);
}

TEST_F(ImageWriterTest, RewriteTimestampWithoutAnEpochIsAnError) {
  ImageOptions options = options_of(LayerCompression::gzip);
  options.source_date_epoch.reset();
  options.rewrite_timestamp = true;
  EXPECT_THROW(write_image(*state_, source_of(sample_stack()), options), Error);
}

TEST_F(ImageWriterTest, MakeLayerBlobMakesWhatWriteImageThenUses) {
  const LayerStack stack = sample_stack();
  const ImageOptions options = options_of(LayerCompression::gzip, false);
  const MadeBlob made = make_layer_blob(*state_, stack[0], options, {});
  EXPECT_EQ(made.descriptor.media_type, media_type::kDockerLayerGzip);
  const auto image = write_image(*state_, source_of(stack), options);
  EXPECT_EQ(image.layers[0], made.descriptor);
  EXPECT_EQ(image.parsed_config.diff_ids[0], made.diff_id);
}

TEST_F(ImageWriterTest, ThreadsThatWantTheSameBlobGetTheSame) {
  const LayerStack stack = sample_stack();
  const ImageOptions options = options_of(LayerCompression::gzip);
  std::vector<MadeBlob> made(4);
  {
    std::vector<std::jthread> threads;
    for (MadeBlob& blob : made) {
      threads.emplace_back([&] { blob = make_layer_blob(*state_, stack[0], options, {}); });
    }
  }
  for (const MadeBlob& blob : made) EXPECT_EQ(blob.descriptor, made[0].descriptor);
  EXPECT_EQ(state_->layers().info(stack[0])->blobs.size(), 1u);
}

TEST_F(ImageWriterTest, AnImageWithoutLayersIsValid) {
  EXPECT_EQ(problems(write_image(*state_, source_of({}), options_of(LayerCompression::gzip))), "");
}

TEST_F(ImageWriterTest, TheSameLayerTwiceIsWrittenOnce) {
  const LayerId empty = layer([](const std::string&) {});
  const auto image =
      write_image(*state_, source_of({empty, empty}), options_of(LayerCompression::gzip));
  EXPECT_EQ(image.layers.size(), 2u);
  EXPECT_EQ(image.layers[0], image.layers[1]);
  EXPECT_EQ(problems(image), "");
}

TEST_F(ImageWriterTest, AnnotationsAreTheManifests) {
  ImageOptions options = options_of(LayerCompression::gzip);
  options.annotations = {{"org.opencontainers.image.title", "a <b>"}};
  const auto image = write_image(*state_, source_of(sample_stack()), options);
  const auto manifest = Manifest::parse(state_->content().read_blob(image.manifest.digest),
                                        image.manifest.media_type);
  EXPECT_EQ(manifest.annotations, options.annotations);
}

TEST_F(ImageWriterTest, AThreeGigabyteSparseFileNeedsNoMemory) {
  const auto peak = [] {
    const std::string status = *sys::read_file("/proc/self/status");
    return std::stoll(status.substr(status.find("VmHWM:") + 6)) / 1024;
  };
  const LayerId big = layer([](const std::string& root) {
    const UniqueFd fd = sys::open(root + "/big", O_WRONLY | O_CREAT, 0644);
    ASSERT_EQ(ftruncate(fd.get(), off_t{3} << 30), 0);
  });
  // Writing 5 there resets the peak.
  sys::write_all(sys::open("/proc/self/clear_refs", O_WRONLY).get(), "5");
  const auto before = peak();
  const MadeBlob made = make_layer_blob(*state_, big, options_of(LayerCompression::gzip), {});
  EXPECT_LT(peak() - before, 150) << "MiB";
  EXPECT_LT(made.descriptor.size, 64u << 20);
  EXPECT_EQ(shell("gzip -t < " + state_->content().path(made.descriptor.digest)), 0);
}

}  // namespace
}  // namespace lade
