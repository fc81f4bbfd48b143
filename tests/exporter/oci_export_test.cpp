#include <algorithm>

#include <nlohmann/json.hpp>

#include "tests/exporter/exporter_fixture.hpp"

namespace lade {
namespace {

using Json = nlohmann::json;

class OciExportTest : public ExporterTest {
 protected:
  WrittenImage image(LayerCompression type = LayerCompression::gzip, bool oci = true) {
    return write_image(*state_, source_of(sample_stack()), options_of(type, oci));
  }
  Json index_of(const std::string& layout) {
    return Json::parse(*sys::read_file(layout + "/index.json"));
  }
  // Names in a directory, without what is in it.
  std::vector<std::string> names_in(const std::string& path) {
    return sys::list_dir(sys::open(path, O_RDONLY | O_DIRECTORY).get());
  }
};

TEST_F(OciExportTest, TarIsValidAndTheSameEachTime) {
  const auto written = image();
  export_oci(*state_, written, {.dest = out("a.tar"), .names = {"app:1", "example.org/x/app"}});
  export_oci(*state_, written, {.dest = out("b.tar"), .names = {"app:1", "example.org/x/app"}});
  EXPECT_EQ(image_problems(out("a.tar")), "");
  EXPECT_TRUE(sys::read_file(out("a.tar")) == sys::read_file(out("b.tar")));
}

TEST_F(OciExportTest, TarHasBuildKitsEntriesAndAnnotations) {
  const auto written = image();
  export_oci(*state_, written, {.dest = out("a.tar"), .names = {"app:1"}});
  const std::string list = output_of("tar tf " + out("a.tar"));
  EXPECT_TRUE(list.starts_with("blobs/\nblobs/sha256/\nblobs/sha256/")) << list;
  EXPECT_TRUE(list.ends_with("index.json\noci-layout\n")) << list;
  const Json index = Json::parse(output_of("tar xOf " + out("a.tar") + " index.json"));
  ASSERT_EQ(index["manifests"].size(), 1u);
  const Json& entry = index["manifests"][0];
  EXPECT_EQ(entry["annotations"]["io.containerd.image.name"], "docker.io/library/app:1");
  EXPECT_EQ(entry["annotations"]["org.opencontainers.image.ref.name"], "1");
  EXPECT_EQ(entry["annotations"]["org.opencontainers.image.created"], "2022-04-15T05:20:00Z");
  EXPECT_EQ(entry["platform"]["architecture"], "amd64");
}

TEST_F(OciExportTest, DirectoryIsValidAndNamedLatestWithoutAName) {
  export_oci(*state_, image(), {.dest = out("new/layout"), .tar = false, .names = {}});
  EXPECT_EQ(image_problems(out("new/layout")), "");
  const Json index = index_of(out("new/layout"));
  EXPECT_EQ(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "latest");
  EXPECT_EQ(names_in(out("new/layout")),
            (std::vector<std::string>{"blobs", "index.json", "oci-layout"}));
}

TEST_F(OciExportTest, AddingToALayoutReplacesTheSameNameAndKeepsOthers) {
  const std::string dest = out("layout");
  export_oci(*state_, image(), {.dest = dest, .tar = false, .names = {"app:1"}});
  export_oci(*state_, image(), {.dest = dest, .tar = false, .names = {"app:2"}});
  const auto zstd = image(LayerCompression::zstd);
  export_oci(*state_, zstd, {.dest = dest, .tar = false, .names = {"app:1"}});
  const Json index = index_of(dest);
  ASSERT_EQ(index["manifests"].size(), 2u);
  EXPECT_EQ(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "2");
  EXPECT_EQ(index["manifests"][1]["digest"], zstd.manifest.digest.str());
  EXPECT_EQ(image_problems(dest), "");
}

TEST_F(OciExportTest, UnknownFieldsOfAnExistingIndexAreKept) {
  const std::string dest = out("layout");
  export_oci(*state_, image(), {.dest = dest, .tar = false, .names = {"app:1"}});
  Json index = index_of(dest);
  index["manifests"][0]["data"] = "e30=";
  sys::write_file_atomically(dest + "/index.json", index.dump());
  export_oci(*state_, image(), {.dest = dest, .tar = false, .names = {"app:2"}});
  EXPECT_EQ(index_of(dest)["manifests"][0]["data"], "e30=");
}

TEST_F(OciExportTest, ATruncatedBlobInALayoutIsReplaced) {
  const std::string dest = out("layout");
  const auto written = image();
  export_oci(*state_, written, {.dest = dest, .tar = false, .names = {}});
  const std::string blob = dest + "/blobs/sha256/" + written.layers[0].digest.hex();
  ASSERT_EQ(truncate(blob.c_str(), 3), 0);
  export_oci(*state_, written, {.dest = dest, .tar = false, .names = {}});
  EXPECT_EQ(image_problems(dest), "");
}

TEST_F(OciExportTest, AFailureLeavesNothingOfALayoutBehind) {
  const auto written = image();
  state_->content().remove(written.config.digest);
  EXPECT_THROW(export_oci(*state_, written, {.dest = out("x/layout"), .tar = false, .names = {}}),
               Error);
  EXPECT_FALSE(std::filesystem::exists(out("x")));
}

TEST_F(OciExportTest, AFailureLeavesTheOldTarAndNoTemporary) {
  const auto written = image();
  state_->content().remove(written.layers[0].digest);
  std::filesystem::create_directory(out("d"));
  write_text(out("d/a.tar"), "old");
  EXPECT_THROW(export_oci(*state_, written, {.dest = out("d/a.tar"), .names = {}}), Error);
  EXPECT_EQ(sys::read_file(out("d/a.tar")), "old");
  EXPECT_EQ(names_in(out("d")), std::vector<std::string>{"a.tar"});
}

TEST_F(OciExportTest, ALayoutOfAnotherVersionIsRefused) {
  std::filesystem::create_directory(out("layout"));
  write_text(out("layout/oci-layout"), R"({"imageLayoutVersion":"2.0.0"})");
  EXPECT_THROW(export_oci(*state_, image(), {.dest = out("layout"), .tar = false, .names = {}}),
               Error);
  EXPECT_EQ(names_in(out("layout")), std::vector<std::string>{"oci-layout"});
}

TEST_F(OciExportTest, NamesWithDigestsAreRefused) {
  const std::string name = "app@sha256:" + std::string(64, 'a');
  EXPECT_THROW(export_oci(*state_, image(), {.dest = out("a.tar"), .names = {name}}), Error);
  EXPECT_FALSE(std::filesystem::exists(out("a.tar")));
}

TEST_F(OciExportTest, DockerTarIsValidAndNamesAreShort) {
  for (const bool oci : {true, false}) {
    export_docker(*state_, image(LayerCompression::gzip, oci),
                  {.dest = out("d.tar"), .names = {"app", "example.org/x/app:2"}});
    EXPECT_EQ(image_problems(out("d.tar")), "");
    const Json manifest = Json::parse(output_of("tar xOf " + out("d.tar") + " manifest.json"));
    EXPECT_EQ(manifest[0]["RepoTags"], Json({"app:latest", "example.org/x/app:2"}));
  }
}

TEST_F(OciExportTest, SkopeoReadsEveryForm) {
  if (shell("skopeo --version") != 0) GTEST_SKIP() << "skopeo is not installed";
  const auto gzip = image();
  export_oci(*state_, gzip, {.dest = out("oci.tar"), .names = {"app:1"}});
  export_oci(*state_, gzip, {.dest = out("layout"), .tar = false, .names = {"app:1"}});
  export_docker(*state_, gzip, {.dest = out("docker.tar"), .names = {"app:1"}});
  EXPECT_EQ(shell("skopeo copy oci-archive:" + out("oci.tar") + " dir:" + out("s1")), 0);
  EXPECT_EQ(shell("skopeo copy oci:" + out("layout") + ":1 dir:" + out("s2")), 0);
  EXPECT_EQ(shell("skopeo copy docker-archive:" + out("docker.tar") + " dir:" + out("s3")), 0);
  EXPECT_NE(output_of("skopeo inspect oci-archive:" + out("oci.tar")).find("\"amd64\""),
            std::string::npos);
}

TEST_F(OciExportTest, PodmanLoadsTheDockerTar) {
  const std::string podman = "podman --storage-driver vfs --root " + out("p") + " --runroot " +
                             out("pr") + " --events-backend none ";
  if (shell(podman + "info") != 0) GTEST_SKIP() << "podman is not installed or cannot run here";
  export_docker(*state_, image(), {.dest = out("docker.tar"), .names = {"app:1"}});
  EXPECT_EQ(shell(podman + "load -i " + out("docker.tar")), 0);
  EXPECT_EQ(shell(podman + "image exists docker.io/library/app:1"), 0);
}

TEST_F(OciExportTest, SkopeoReadsZstdLayouts) {
  if (shell("skopeo --version") != 0) GTEST_SKIP() << "skopeo is not installed";
  export_oci(*state_, image(LayerCompression::zstd), {.dest = out("l"), .tar = false, .names = {}});
  EXPECT_EQ(shell("skopeo copy oci:" + out("l") + ":latest dir:" + out("s")), 0);
}

TEST_F(OciExportTest, UmociUnpacksTheSameTree) {
  if (shell("umoci --version") != 0) GTEST_SKIP() << "umoci is not installed";
  export_oci(*state_, image(), {.dest = out("layout"), .tar = false, .names = {"app:1"}});
  ASSERT_EQ(shell("umoci unpack --image " + out("layout") + ":1 " + out("bundle")), 0);
  const std::string root = out("bundle/rootfs");
  EXPECT_EQ(sys::read_file(root + "/etc/new"), "new");
  EXPECT_FALSE(std::filesystem::exists(root + "/etc/gone"));
  EXPECT_EQ(sys::lstatat(AT_FDCWD, root + "/bin/tool")->st_nlink, 2u);
  EXPECT_EQ(sys::lstatat(AT_FDCWD, root + "/bin/tool")->st_mode & 07777, 04755u);
  EXPECT_EQ(sys::lstatat(AT_FDCWD, root + "/etc/passwd")->st_uid, 12u);
}

}  // namespace
}  // namespace lade
