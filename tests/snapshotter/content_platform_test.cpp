#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "snapshotter/content/descriptor.hpp"

namespace lade {
namespace {

using ::testing::ElementsAre;

TEST(Platform, ParsesAndNormalisesAsContainerd) {
  const std::pair<const char*, const char*> cases[] = {
      {"linux/amd64", "linux/amd64"},
      {"linux/x86_64", "linux/amd64"},
      {"Linux/AMD64", "linux/amd64"},
      {"linux/amd64/v1", "linux/amd64"},
      {"linux/amd64/v2", "linux/amd64/v2"},
      {"linux/i386", "linux/386"},
      {"arm64", "linux/arm64"},
      {"aarch64", "linux/arm64"},
      {"linux/arm64/v8", "linux/arm64"},
      {"linux/arm64/8", "linux/arm64"},
      {"linux/arm64/v9.2", "linux/arm64/v9.2"},
      {"arm", "linux/arm/v7"},
      {"linux/arm", "linux/arm/v7"},
      {"linux/arm/6", "linux/arm/v6"},
      {"linux/arm/v5", "linux/arm/v5"},
      {"linux/armhf", "linux/arm/v7"},
      {"linux/armel", "linux/arm/v6"},
      {"riscv64", "linux/riscv64"},
      {"windows/amd64", "windows/amd64"},
      {"macos/arm64", "darwin/arm64"},
      {"freebsd/sparc9", "freebsd/sparc9"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(Platform::parse(text).str(), expected);
}

TEST(Platform, FillsInWhatIsMissingFromTheHost) {
  EXPECT_EQ(Platform::host().os, "linux");
  EXPECT_EQ(Platform::parse("linux"), Platform::host());
  EXPECT_EQ(Platform::parse("windows").architecture, Platform::host().architecture);
}

TEST(Platform, ReadsVersionAndFeaturesOfTheOs) {
  const Platform platform = Platform::parse("windows(10.0.17763+win32k+b)/amd64");
  EXPECT_EQ(platform.os, "windows");
  EXPECT_EQ(platform.os_version, "10.0.17763");
  EXPECT_THAT(platform.os_features, ElementsAre("b", "win32k"));
}

TEST(Platform, RefusesNonsense) {
  for (const char* text : {"", "/", "linux/", "linux//v8", "a/b/c/d", "linux/arm 64", "*", "vax",
                           "linux(/amd64", "linux(1)2/amd64", "linux(a b)/amd64", "lin\nux/arm"}) {
    EXPECT_THROW(Platform::parse(text), Error) << text;
  }
}

TEST(Platform, RunsOlderVariantsAnd32BitImages) {
  struct Case {
    const char* host;
    const char* image;
    bool runs;
  };
  const Case cases[] = {
      {"linux/amd64", "linux/amd64", true},
      {"linux/amd64", "linux/386", true},
      {"linux/amd64", "linux/amd64/v2", false},
      {"linux/amd64/v3", "linux/amd64/v2", true},
      {"linux/amd64/v3", "linux/amd64", true},
      {"linux/amd64/v3", "linux/386", true},
      {"linux/386", "linux/amd64", false},
      {"linux/amd64", "windows/amd64", false},
      {"linux/arm/v7", "linux/arm/v6", true},
      {"linux/arm/v7", "linux/arm/v5", true},
      {"linux/arm/v6", "linux/arm/v7", false},
      {"linux/arm/v5", "linux/arm/v4", false},
      {"linux/arm64", "linux/arm/v8", true},
      {"linux/arm64", "linux/arm/v5", true},
      {"linux/arm64", "linux/arm64/v8.1", false},
      {"linux/arm64/v8.2", "linux/arm64/v8.1", true},
      {"linux/arm64/v8.2", "linux/arm64", true},
      {"linux/arm64/v9", "linux/arm64/v8.5", true},
      {"linux/arm64/v9", "linux/arm64/v8.6", false},
      {"linux/arm64/v9.1", "linux/arm64/v9", true},
      {"linux/arm64/v9.1", "linux/arm64/v8.6", true},
      {"linux/arm64/v9.1", "linux/arm/v7", true},
      {"linux/arm", "linux/arm64", false},
      {"linux/riscv64", "linux/riscv64", true},
      {"linux/riscv64", "linux/amd64", false},
  };
  for (const auto& [host, image, runs] : cases) {
    EXPECT_EQ(Platform::parse(host).accepts(Platform::parse(image)), runs) << host << " " << image;
  }
}

TEST(Platform, RanksTheNearestVariantFirst) {
  const Platform host = Platform::parse("linux/arm64");
  const auto rank = [&](const char* image) { return host.rank(Platform::parse(image)).value(); };
  EXPECT_EQ(rank("linux/arm64/v8"), 0u);
  EXPECT_LT(rank("linux/arm/v8"), rank("linux/arm/v7"));
  EXPECT_LT(rank("linux/arm/v7"), rank("linux/arm/v6"));
}

TEST(Platform, ComparesImagesInTheirOwnSpelling) {
  Platform image;
  image.os = "linux";
  image.architecture = "aarch64";
  image.variant = "v8";
  EXPECT_TRUE(Platform::parse("linux/arm64").accepts(image));
  image.os_features = {"special"};
  EXPECT_FALSE(Platform::parse("linux/arm64").accepts(image));
  EXPECT_TRUE(Platform::parse("linux(+special)/arm64").accepts(image));
}

}  // namespace
}  // namespace lade
