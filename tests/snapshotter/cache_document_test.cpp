// The document of a shared cache: what is written is read, what is wrong is refused.
#include "snapshotter/content/cache_document.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
       "which is no layer"},
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

}  // namespace
}  // namespace lade
