#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "snapshotter/content/manifest.hpp"

namespace lade {
namespace {

using ::testing::HasSubstr;

const std::string kHex = std::string(64, 'a');

// As BuildKit indents it.
const std::string kManifest = R"({
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "artifactType": "application/x",
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "sha256:)" + kHex +
                              R"(",
    "size": 7
  },
  "layers": [
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "sha256:)" + kHex +
                              R"(",
      "size": 1234,
      "urls": [
        "https://example.com/layer"
      ],
      "annotations": {
        "a": "1",
        "b": "\u003c2\u003e"
      }
    }
  ],
  "subject": {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": "sha256:)" + kHex +
                              R"(",
    "size": 9
  },
  "annotations": {
    "org.opencontainers.image.title": "t"
  }
})";

std::string manifest_error(std::string_view json,
                           std::string_view type = media_type::kOciManifest) {
  try {
    Manifest::parse(json, type);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    return error.message();
  }
  return "no error";
}

TEST(Manifest, RoundTripsByteForByte) {
  const Manifest manifest = Manifest::parse(kManifest, "");
  EXPECT_EQ(manifest.layers.at(0).size, 1234u);
  EXPECT_EQ(manifest.layers.at(0).annotations.at("b"), "<2>");
  EXPECT_EQ(manifest.subject.value().size, 9u);
  EXPECT_EQ(manifest.artifact_type, "application/x");
  EXPECT_EQ(manifest.serialize(), kManifest);
}

TEST(Manifest, WritesAnImageWithoutLayersWithAnEmptyArray) {
  Manifest manifest;
  manifest.media_type = media_type::kOciManifest;
  EXPECT_THAT(manifest.serialize(), HasSubstr("\"layers\": []\n}"));
}

TEST(Manifest, TakesTheAnnouncedTypeWhenItNamesNone) {
  const std::string bare =
      R"({"schemaVersion":2,"config":{"digest":"sha256:)" + kHex + R"(","size":1},"layers":null})";
  EXPECT_EQ(Manifest::parse(bare, media_type::kDockerManifest).media_type,
            media_type::kDockerManifest);
  EXPECT_THAT(manifest_error(bare, ""),
              HasSubstr("field 'mediaType' is '', which is no image manifest"));
  EXPECT_THAT(manifest_error(bare, media_type::kOciIndex), HasSubstr("which is no image manifest"));
}

TEST(Manifest, MayBeAnnouncedInTheOtherFormat) {
  EXPECT_EQ(Manifest::parse(kManifest, media_type::kDockerManifest).media_type,
            media_type::kOciManifest);
  const std::string index = R"({"schemaVersion":2,"manifests":[],"mediaType":")";
  for (const auto type : {media_type::kOciIndex, media_type::kDockerIndex}) {
    const std::string document = index + std::string(type) + "\"}";
    EXPECT_EQ(Index::parse(document, media_type::kOciIndex).media_type, type);
    EXPECT_EQ(Index::parse(document, media_type::kDockerIndex).media_type, type);
  }
  // What is neither says nothing.
  EXPECT_EQ(Index::parse(index + "application/x\"}", media_type::kOciIndex).media_type,
            media_type::kOciIndex);
}

TEST(Manifest, RefusesContradictions) {
  std::string index = kManifest;
  index.replace(index.find(media_type::kOciManifest), media_type::kOciManifest.size(),
                media_type::kOciIndex);
  EXPECT_THAT(manifest_error(index, media_type::kDockerManifest),
              HasSubstr("field 'mediaType' is 'application/vnd.oci.image.index.v1+json', which is "
                        "no image manifest, but it was announced as "
                        "'application/vnd.docker.distribution.manifest.v2+json'"));
  std::string both = kManifest;
  both.insert(1, R"("manifests":[],)");
  EXPECT_THAT(manifest_error(both), HasSubstr("field 'manifests' belongs to an index"));
  EXPECT_THROW(Index::parse(R"({"schemaVersion":2,"layers":[]})", media_type::kOciIndex), Error);
}

TEST(Manifest, NamesTheFieldAtFault) {
  const std::pair<std::string, std::string> cases[] = {
      {"{}", "field 'schemaVersion' is missing"},
      {R"({"schemaVersion":1})", "field 'schemaVersion' is 1, only 2 is supported"},
      {R"({"schemaVersion":"2"})", "field 'schemaVersion' is not an integer"},
      {R"({"schemaVersion":2})", "field 'config' is missing"},
      {R"({"schemaVersion":2,"config":[]})", "field 'config' is not an object"},
      {R"({"schemaVersion":2,"config":{"digest":"sha256:x"}})",
       "field 'config.digest' is not a usable digest"},
      {R"({"schemaVersion":2,"config":{"digest":"sha256:)" + kHex + R"(","size":-1}})",
       "field 'config.size' is negative"},
      {R"({"schemaVersion":2,"config":{"digest":"sha256:)" + kHex +
           R"(","size":1},"layers":[{"size":1}]})",
       "field 'layers[0].digest' is missing"},
      {R"({"schemaVersion":2,"config":{"digest":"sha256:)" + kHex +
           R"(","size":1},"annotations":{"a":1}})",
       "field 'annotations.a' is not a string"},
  };
  for (const auto& [json, expected] : cases) {
    EXPECT_THAT(manifest_error(json), HasSubstr("image manifest: " + expected));
  }
}

TEST(Manifest, BoundsItsSize) {
  EXPECT_THAT(manifest_error(std::string((4 << 20) + 1, ' ')), HasSubstr("more than the 4194304"));
  const std::string layer = R"({"digest":"sha256:)" + kHex + R"(","size":1},)";
  std::string many = R"({"schemaVersion":2,"config":)" + layer + R"("layers":[)";
  for (int i = 0; i < 10'001; ++i) many += layer;
  many.back() = ']';
  EXPECT_THAT(manifest_error(many + "}"), HasSubstr("field 'layers' has more than 10000 entries"));
}

Descriptor entry(const char* platform, char digit) {
  Descriptor out;
  out.media_type = media_type::kOciManifest;
  out.digest = Digest::parse("sha256:" + std::string(64, digit));
  if (platform) out.platform = Platform::parse(platform);
  return out;
}

char selected(const Index& index, const char* platform) {
  const Descriptor* found = index.select(Platform::parse(platform));
  return found ? found->digest.hex()[0] : '-';
}

TEST(Index, SelectsTheNearestPlatform) {
  Index index;
  index.manifests = {entry("linux/arm/v6", '1'), entry("linux/arm/v7", '2'),
                     entry("linux/386", '3'), entry("linux/amd64", '4'), entry("linux/amd64", '5')};
  EXPECT_EQ(selected(index, "linux/amd64"), '4');
  EXPECT_EQ(selected(index, "linux/amd64/v3"), '4');
  EXPECT_EQ(selected(index, "linux/386"), '3');
  EXPECT_EQ(selected(index, "linux/arm64"), '2');
  EXPECT_EQ(selected(index, "linux/arm/v6"), '1');
  EXPECT_EQ(selected(index, "linux/arm/v5"), '-');
  EXPECT_EQ(selected(index, "linux/s390x"), '-');
}

TEST(Index, PrefersAnyPlatformToNone) {
  Index index;
  index.manifests = {entry(nullptr, '1'), entry("linux/386", '2')};
  EXPECT_EQ(selected(index, "linux/amd64"), '2');
  EXPECT_EQ(selected(index, "linux/s390x"), '1');
}

TEST(Index, NeverSelectsAttestations) {
  Index index;
  index.manifests = {entry(nullptr, '1'), entry(nullptr, '2')};
  index.manifests[0].platform = Platform{"unknown", "unknown", "", "", {}};
  index.manifests[1].annotations["vnd.docker.reference.type"] = "attestation-manifest";
  EXPECT_EQ(selected(index, "linux/amd64"), '-');
}

TEST(Index, RoundTripsPlatformsInGoOrder) {
  Index index;
  index.media_type = media_type::kDockerIndex;
  index.manifests = {entry("windows(10.0.1+win32k)/arm64/v9", 'b')};
  const std::string text = index.serialize();
  EXPECT_EQ(text, R"({
  "schemaVersion": 2,
  "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
  "manifests": [
    {
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "digest": "sha256:)" +
                      std::string(64, 'b') + R"(",
      "size": 0,
      "platform": {
        "architecture": "arm64",
        "os": "windows",
        "os.version": "10.0.1",
        "os.features": [
          "win32k"
        ],
        "variant": "v9"
      }
    }
  ]
})");
  EXPECT_EQ(Index::parse(text, media_type::kDockerIndex).manifests, index.manifests);
}

TEST(MediaType, KnowsLayers) {
  EXPECT_TRUE(media_type::is_layer(media_type::kOciLayerZstd));
  EXPECT_TRUE(media_type::is_layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"));
  EXPECT_TRUE(media_type::is_layer("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"));
  EXPECT_FALSE(media_type::is_layer(media_type::kOciConfig));
}

}  // namespace
}  // namespace lade
