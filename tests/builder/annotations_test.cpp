#include "builder/options/annotations.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

using Map = std::map<std::string, std::string>;

TEST(Annotations, AreTheManifestsUnlessSaidOtherwise) {
  Annotations all;
  all.add("a=b=c");
  EXPECT_EQ(all.of(AnnotationPlace::manifest, "linux/amd64"), (Map{{"a", "b=c"}}));
  EXPECT_EQ(all.of(AnnotationPlace::index, ""), Map{});
}

TEST(Annotations, OneTextCanBeForSeveralPlaces) {
  Annotations all;
  all.add("index,manifest-descriptor:k=v");
  EXPECT_EQ(all.of(AnnotationPlace::index, ""), (Map{{"k", "v"}}));
  EXPECT_EQ(all.of(AnnotationPlace::manifest_descriptor, "linux/amd64"), (Map{{"k", "v"}}));
  EXPECT_EQ(all.of(AnnotationPlace::manifest, "linux/amd64"), Map{});
  EXPECT_TRUE(all.any(AnnotationPlace::index));
  EXPECT_FALSE(all.any(AnnotationPlace::index_descriptor));
}

TEST(Annotations, ThoseOfAPlatformBeatThoseOfAll) {
  Annotations all;
  all.add("manifest[linux/arm64]:k=arm");
  all.add("k=any");
  EXPECT_EQ(all.of(AnnotationPlace::manifest, "linux/arm64"), (Map{{"k", "arm"}}));
  EXPECT_EQ(all.of(AnnotationPlace::manifest, "linux/amd64"), (Map{{"k", "any"}}));
}

TEST(Annotations, OutputAttributesSayTheSame) {
  Annotations all;
  all.add_attribute("annotation-manifest[linux/arm/v7].org.example.key", "v");
  all.add_attribute("annotation-index.k", "w");
  EXPECT_EQ(all.of(AnnotationPlace::manifest, "linux/arm/v7"), (Map{{"org.example.key", "v"}}));
  EXPECT_EQ(all.of(AnnotationPlace::index, ""), (Map{{"k", "w"}}));
}

TEST(Annotations, BadOnesAreUsageErrors) {
  for (const char* text : {"", "a", "=b", "manifests:a=b", "manifest[:a=b", "index:=b"}) {
    Annotations all;
    try {
      all.add(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage) << text;
    }
  }
}

}  // namespace
}  // namespace lade
