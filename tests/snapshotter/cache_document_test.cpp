// The document of a shared cache: what is written is read, what is wrong is refused.
#include "snapshotter/content/cache_document.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "snapshotter/content/image_config.hpp"
#include "snapshotter/content/manifest.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using testing::HasSubstr;

CacheDocument sample() {
  Descriptor blob;
  blob.media_type = media_type::kOciLayerGzip;
  blob.digest = Digest::of("blob");
  blob.size = 4;
  CacheDocument document;
  document.layers = {{{}, DiffId{Digest::of("base")}, Digest::of("base content"), {}},
                     {0, DiffId{Digest::of("layer")}, Digest::of("content"), blob}};
  document.records = {
      {Digest::of("key"), Digest::of("op"), {Digest::of("input"), {}}, 1, 1700000000},
      {Digest::of("other"), Digest::of("op"), {}, {}, 0}};
  return document;
}

TEST(CacheDocument, WhatIsWrittenIsRead) {
  const CacheDocument read = CacheDocument::parse(sample().serialize());
  ASSERT_EQ(read.layers.size(), 2U);
  EXPECT_EQ(read.layers[0].parent, std::nullopt);
  EXPECT_EQ(read.layers[0].blob, std::nullopt);
  EXPECT_EQ(read.layers[1].parent, 0U);
  EXPECT_EQ(read.layers[1].blob, sample().layers[1].blob);
  EXPECT_EQ(read.layers[1].content, Digest::of("content"));
  ASSERT_EQ(read.records.size(), 2U);
  EXPECT_EQ(read.records[0].inputs, sample().records[0].inputs);
  EXPECT_EQ(read.records[0].top, 1U);
  EXPECT_EQ(read.records[0].created_at, 1700000000);
  EXPECT_EQ(read.records[1].top, std::nullopt);
  EXPECT_EQ(read.serialize(), sample().serialize());
}

TEST(CacheDocument, WhatIsWrongIsRefusedByName) {
  const std::string digest = Digest::of("x").str();
  const std::string layer = R"({"diffID":")" + digest + R"(","content":")" + digest + '"';
  const std::string record = R"({"key":")" + digest + R"(","op":")" + digest + R"(","created":1)";
  const std::pair<std::string, std::string> cases[] = {
      {"{", "cache document"},
      {"{}", "version"},
      {R"({"version":2})", "the cache has format 2, this lade reads 1"},
      {R"({"version":1,"layers":[)" + layer + R"(,"parent":0}]})", "parent"},
      {R"({"version":1,"layers":[)" + layer + R"(,"parent":-1}]})", "parent"},
      {R"({"version":1,"layers":[)" + layer + R"(,"blob":{"mediaType":"text/plain","digest":")" +
           digest + R"(","size":1}}]})",
       "which is not a layer"},
      {R"({"version":1,"layers":[)" + layer +
           R"(,"blob":{"mediaType":"","digest":"x","size":1}}]})",
       "digest"},
      {R"({"version":1,"records":[)" + record + R"(,"top":0}]})", "top"},
      {R"({"version":1,"records":[)" + record + R"(,"inputs":["sha256:00"]}]})", "inputs"},
      {R"({"version":1,"records":[{"op":")" + digest + R"("}]})", "key"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_THAT(error_of([&, t = text] { CacheDocument::parse(t); }), HasSubstr(expected)) << text;
  }
}

TEST(CacheDocument, OfABlobOnlyWhatNamesItIsRead) {
  CacheDocument document = sample();
  const Descriptor plain = *document.layers[1].blob;
  Descriptor& blob = *document.layers[1].blob;
  blob.urls = {"https://example.com/elsewhere"};
  blob.annotations = {{"containerd.io/uncompressed", "sha256:nonsense"}};
  blob.platform = Platform::parse("linux/arm64");
  blob.artifact_type = "application/x";
  document.mounts = {{Digest::of("id"), blob}};
  const CacheDocument read = CacheDocument::parse(document.serialize());
  EXPECT_EQ(read.layers[1].blob, plain);
  EXPECT_EQ(read.mounts[0].blob, plain);
}

TEST(CacheDocument, TimesAreThoseOfPeople) {
  CacheDocument document = sample();
  for (const int64_t time : {int64_t{-1}, int64_t{253'402'300'800}, INT64_MAX, INT64_MIN}) {
    document.records[0].created_at = time;
    EXPECT_THAT(error_of([&] { CacheDocument::parse(document.serialize()); }),
                HasSubstr("created' is not a time"));
  }
}

TEST(CacheDocument, StacksHaveABottom) {
  CacheDocument document;
  for (uint32_t i = 0; i < 20'001; ++i) {
    document.layers.push_back({i == 0 ? std::nullopt : std::optional(i - 1),
                               DiffId{Digest::of("d")},
                               Digest::of("c"),
                               {}});
    if (i == 19'999) {
      EXPECT_EQ(error_of([&] { CacheDocument::parse(document.serialize()); }), "");
    }
  }
  EXPECT_THAT(error_of([&] { CacheDocument::parse(document.serialize()); }),
              HasSubstr("parent' has 19999 layers below it"));
}

TEST(CacheDocument, MountsAreWrittenAndReadAndMustBeLayers) {
  CacheDocument document = sample();
  document.mounts = {{Digest::of("id"), *sample().layers[1].blob}};
  const CacheDocument read = CacheDocument::parse(document.serialize());
  ASSERT_EQ(read.mounts.size(), 1U);
  EXPECT_EQ(read.mounts[0].id, Digest::of("id"));
  EXPECT_EQ(read.mounts[0].blob, document.mounts[0].blob);
  document.mounts[0].blob.media_type = "text/plain";
  EXPECT_THAT(error_of([&] { CacheDocument::parse(document.serialize()); }),
              HasSubstr("which is not a layer"));
}

TEST(CacheDocument, AppendingMovesIndexes) {
  CacheDocument both = sample();
  both.append(sample());
  ASSERT_EQ(both.layers.size(), 4U);
  EXPECT_EQ(both.layers[2].parent, std::nullopt);
  EXPECT_EQ(both.layers[3].parent, 2U);
  ASSERT_EQ(both.records.size(), 4U);
  EXPECT_EQ(both.records[2].top, 3U);
  EXPECT_EQ(both.records[3].top, std::nullopt);
}

/// An image of two layers, of which the second is its own.
struct InlineImage {
  InlineImage() {
    for (const char* name : {"base", "layer"}) {
      Descriptor blob;
      blob.media_type = media_type::kOciLayerGzip;
      blob.digest = Digest::of(std::string("blob of ") + name);
      blob.size = 7;
      manifest.layers.push_back(blob);
      config.diff_ids.push_back(DiffId{Digest::of(name)});
    }
    config.platform = Platform::parse("linux/amd64");
    cache = sample();
    cache.layers[1].blob.reset();
    cache.layers[1].position = 1;
  }
  std::string text() const { return with_inline_cache(config.serialize(), cache); }
  Manifest manifest;
  ImageConfig config;
  CacheDocument cache;
};

TEST(InlineCache, LayersHaveTheBlobsOfTheImage) {
  const InlineImage image;
  const auto read = read_inline_cache(image.text(), image.manifest);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->layers[0].blob, std::nullopt);
  EXPECT_EQ(read->layers[1].blob, image.manifest.layers[1]);
  EXPECT_EQ(read->layers[1].position, std::nullopt);
  EXPECT_EQ(read->records.size(), 2U);
}

TEST(InlineCache, WhoIsBuiltOnAnImageDoesNotInheritIt) {
  const InlineImage image;
  const ImageConfig read = ImageConfig::parse(image.text());
  EXPECT_EQ(read.diff_ids, image.config.diff_ids);
  EXPECT_FALSE(read_inline_cache(read.serialize(), image.manifest));
}

TEST(InlineCache, LayersThatAreNotTheImagesAreRefused) {
  for (const uint32_t position : {0U, 2U, 100'000U}) {
    InlineImage image;
    image.cache.layers[1].position = position;
    const std::string config = image.text();
    EXPECT_THAT(error_of([&] { read_inline_cache(config, image.manifest); }),
                HasSubstr("which it is not"));
  }
  InlineImage image;
  image.manifest.layers.pop_back();
  const std::string config = image.text();
  EXPECT_THAT(error_of([&] { read_inline_cache(config, image.manifest); }),
              HasSubstr("which it is not"));
}

}  // namespace
}  // namespace lade
