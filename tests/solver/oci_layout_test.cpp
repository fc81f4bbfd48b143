// OCI layouts as sources: directories and tars, names, damage.
#include "solver/source/oci_layout.hpp"

#include <cstring>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "support.hpp"

namespace lade {
namespace {

using testing::HasSubstr;

/// One member of a tar, with its padding.
std::string member(const std::string& name, const std::string& content, char type = '0') {
  std::string header(512, '\0');
  std::memcpy(header.data(), name.data(), name.size());
  std::memcpy(header.data() + 124, fmt::format("{:011o}", content.size()).data(), 11);
  header[156] = type;
  std::memcpy(header.data() + 257, "ustar", 5);
  std::string out = header + content;
  out.resize((out.size() + 511) / 512 * 512);
  return out;
}

class OciLayoutTest : public testing::Test {
 protected:
  const std::string blob_ = "manifest one";
  const std::string other_ = "manifest two";

  static std::string descriptor(const std::string& blob, const std::string& tag,
                                const std::string& arch) {
    std::string annotations;
    if (!tag.empty()) {
      annotations =
          fmt::format(R"(,"annotations":{{"org.opencontainers.image.ref.name":"{}"}})", tag);
    }
    return fmt::format(
        R"({{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},)"
        R"("platform":{{"os":"linux","architecture":"{}"}}{}}})",
        Digest::of(blob).str(), blob.size(), arch, annotations);
  }

  std::string index(const std::string& first_tag, const std::string& second_tag) const {
    return fmt::format(R"({{"schemaVersion":2,"manifests":[{},{}]}})",
                       descriptor(blob_, first_tag, "amd64"),
                       descriptor(other_, second_tag, "arm64"));
  }

  /// Writes a layout directory; returns its path.
  std::string directory(const std::string& index_json) {
    const std::string path = dir_.path() + "/layout";
    sys::make_dirs(path + "/blobs/sha256");
    sys::write_file_atomically(path + "/index.json", index_json);
    for (const auto& blob : {blob_, other_}) {
      sys::write_file_atomically(path + "/blobs/sha256/" + Digest::of(blob).hex(), blob);
    }
    return path;
  }

  std::string tar(const std::string& bytes) {
    const std::string path = dir_.path() + "/layout.tar";
    sys::write_file_atomically(path, bytes);
    return path;
  }

  std::string tar_bytes(const std::string& prefix = "") const {
    std::string out = member(prefix + "blobs/", "", '5');
    for (const auto& blob : {blob_, other_}) {
      out += member(prefix + "blobs/sha256/" + Digest::of(blob).hex(), blob);
    }
    return out + member(prefix + "index.json", index("one", "two")) + std::string(1024, '\0');
  }

  static std::string read(OciLayout& layout, const Descriptor& descriptor) {
    return read_all(*layout.open(descriptor), 1 << 20, "a blob");
  }

  const Platform amd64_ = Platform::parse("linux/amd64");
  TempDir dir_ = TempDir::create("/tmp", "oci-layout-");
};

TEST(LayoutName, HasAPathAndATagOrADigest) {
  const Digest digest = Digest::of("x");
  EXPECT_EQ(LayoutName::parse("/a/b").path, "/a/b");
  EXPECT_EQ(LayoutName::parse("/a/b").tag, "");
  EXPECT_EQ(LayoutName::parse("a/b:v1").path, "a/b");
  EXPECT_EQ(LayoutName::parse("a/b:v1").tag, "v1");
  EXPECT_EQ(LayoutName::parse("a:b/c").path, "a:b/c");
  EXPECT_EQ(LayoutName::parse("a/b@" + digest.str()).digest, digest);
  EXPECT_EQ(LayoutName::parse("a/b@" + digest.str()).path, "a/b");
  EXPECT_THAT(error_of([] { LayoutName::parse("a@sha256:12"); }), HasSubstr("invalid digest"));
}

TEST_F(OciLayoutTest, ImagesAreFoundByTagDigestAndPlatform) {
  const auto layout = OciLayout::open(directory(index("one", "two")));
  EXPECT_EQ(layout->find({"", "two", {}}, amd64_).digest, Digest::of(other_));
  EXPECT_EQ(layout->find({"", "", Digest::of(other_)}, amd64_).digest, Digest::of(other_));
  EXPECT_EQ(layout->find({"", "", {}}, amd64_).digest, Digest::of(blob_));
  EXPECT_EQ(layout->find({"", "", {}}, Platform::parse("linux/arm64")).digest, Digest::of(other_));
}

TEST_F(OciLayoutTest, WhatIsNotThereIsAnErrorThatSaysWhatIs) {
  const auto layout = OciLayout::open(directory(index("one", "two")));
  EXPECT_EQ(error_of([&] { layout->find({"", "three", {}}, amd64_); }),
            "it has no image 'three'; it has: one, two");
  EXPECT_THAT(error_of([&] { layout->find({"", "", Digest::of("z")}, amd64_); }),
              HasSubstr("it has no image"));
  const auto untagged = OciLayout::open(directory(index("", "")));
  EXPECT_EQ(error_of([&] { untagged->find({"", "x", {}}, amd64_); }),
            "it has no image 'x'; it has: no tags");
}

TEST_F(OciLayoutTest, BlobsOfADirectoryAreRead) {
  const auto layout = OciLayout::open(directory(index("one", "two")));
  EXPECT_EQ(read(*layout, layout->find({"", "one", {}}, amd64_)), blob_);
  Descriptor missing;
  missing.digest = Digest::of("missing");
  EXPECT_NE(error_of([&] { read(*layout, missing); }), "");
}

TEST_F(OciLayoutTest, ATarIsALayoutToo) {
  for (const char* prefix : {"", "./"}) {
    const auto layout = OciLayout::open(tar(tar_bytes(prefix)));
    EXPECT_EQ(read(*layout, layout->find({"", "two", {}}, amd64_)), other_) << prefix;
    Descriptor missing;
    missing.digest = Digest::of("missing");
    EXPECT_THAT(error_of([&] { read(*layout, missing); }),
                HasSubstr("the layout has no blob sha256:"));
  }
}

TEST_F(OciLayoutTest, ATarWithoutItsEndBlocksIsFine) {
  std::string bytes = tar_bytes();
  bytes.resize(bytes.size() - 1024);
  EXPECT_EQ(OciLayout::open(tar(bytes))->index().manifests.size(), 2u);
}

TEST_F(OciLayoutTest, WhatIsNoLayoutIsAnError) {
  EXPECT_EQ(error_of([&] { OciLayout::open(dir_.path() + "/none"); }), "no such file or directory");
  EXPECT_EQ(error_of([&] { OciLayout::open(dir_.path()); }),
            "not an OCI layout: it has no index.json");
  EXPECT_EQ(error_of([&] { OciLayout::open(tar(member("x", "y"))); }),
            "not an OCI layout: it has no index.json");
  EXPECT_EQ(error_of([&] { OciLayout::open(tar("")); }), "not an OCI layout: it has no index.json");
  EXPECT_THAT(error_of([&] { OciLayout::open(tar(std::string(2048, 'x'))); }),
              HasSubstr("neither a directory nor"));
  EXPECT_NE(error_of([&] { OciLayout::open(directory("{")); }), "");
}

TEST_F(OciLayoutTest, SizesBeyondTheTarAreErrors) {
  for (const char* size :
       {"77777777777", "xyz", "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}) {
    std::string bytes = member("index.json", "{}");
    std::memcpy(bytes.data() + 124, size, std::strlen(size));
    EXPECT_THAT(error_of([&] { OciLayout::open(tar(bytes)); }), HasSubstr("not an OCI layout"))
        << size;
  }
}

TEST_F(OciLayoutTest, ALinkInATarIsNoMember) {
  std::string link = member("index.json", "", '2');
  EXPECT_EQ(error_of([&] { OciLayout::open(tar(link)); }),
            "not an OCI layout: it has no index.json");
}

}  // namespace
}  // namespace lade
