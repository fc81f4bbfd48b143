// The validator is what other tests rely on, so each class of damage must be refused, and for its
// reason.
#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include "tests/exporter/exporter_fixture.hpp"

namespace lade {
namespace {

using OrderedJson = nlohmann::ordered_json;

class ValidateImageTest : public ExporterTest {
 protected:
  void SetUp() override {
    ExporterTest::SetUp();
    if (IsSkipped()) return;
    image_ = write_image(*state_, source_of(sample_stack()), options_of(LayerCompression::gzip));
    export_oci(*state_, image_, {.dest = out("layout"), .tar = false, .names = {"app:1"}});
    export_docker(*state_, image_, {.dest = out("docker.tar"), .names = {"app:1"}});
  }

  std::string blob(const Digest& digest) { return out("layout/blobs/sha256/" + digest.hex()); }

  // Stores bytes as a blob; returns what a descriptor says of them.
  OrderedJson store(const std::string& bytes) {
    const Digest digest = Digest::of(bytes);
    sys::write_file_atomically(blob(digest), bytes);
    return {{"digest", digest.str()}, {"size", bytes.size()}};
  }
  void edit(const std::string& path, const std::function<void(OrderedJson&)>& change) {
    OrderedJson document = OrderedJson::parse(*sys::read_file(path));
    change(document);
    sys::write_file_atomically(path, document.dump());
  }
  void edit_index(const std::function<void(OrderedJson&)>& change) {
    edit(out("layout/index.json"), change);
  }
  // Changes the manifest and makes the index name the new one.
  void edit_manifest(const std::function<void(OrderedJson&)>& change) {
    OrderedJson manifest = OrderedJson::parse(*sys::read_file(blob(image_.manifest.digest)));
    change(manifest);
    unlink(blob(image_.manifest.digest).c_str());
    const OrderedJson stored = store(manifest.dump());
    edit_index([&](OrderedJson& index) { index["manifests"][0].update(stored); });
  }
  void edit_config(const std::function<void(OrderedJson&)>& change) {
    OrderedJson config = OrderedJson::parse(*sys::read_file(blob(image_.config.digest)));
    change(config);
    unlink(blob(image_.config.digest).c_str());
    const OrderedJson stored = store(config.dump());
    edit_manifest([&](OrderedJson& manifest) { manifest["config"].update(stored); });
  }

  void expect_problem(const std::string& part, const std::string& path = "layout") {
    const std::string found = image_problems(out(path));
    EXPECT_NE(found.find(part), std::string::npos) << "found: " << found;
  }

  // The tar with `change` applied to its bytes.
  void edit_tar(const std::function<void(std::string&)>& change) {
    std::string bytes = *sys::read_file(out("docker.tar"));
    change(bytes);
    sys::write_file_atomically(out("docker.tar"), bytes);
  }
  // Changes a field of the first tar header and mends its checksum.
  static void edit_header(std::string& bytes, size_t at, std::string_view value) {
    bytes.replace(at, value.size(), value);
    unsigned sum = 0;
    for (size_t i = 0; i < 512; ++i) {
      sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(bytes[i]);
    }
    char text[8];
    snprintf(text, sizeof text, "%06o", sum);
    bytes.replace(148, 7, text, 7);
  }

  WrittenImage image_;
};

TEST_F(ValidateImageTest, GoodOnesHaveNoProblems) {
  EXPECT_EQ(image_problems(out("layout")), "");
  EXPECT_EQ(image_problems(out("docker.tar")), "");
}

TEST_F(ValidateImageTest, DamagedBlobs) {
  std::string bytes = *sys::read_file(blob(image_.layers[0].digest));
  bytes[bytes.size() / 2] ^= 1;
  sys::write_file_atomically(blob(image_.layers[0].digest), bytes);
  expect_problem("the bytes have another digest");
}

TEST_F(ValidateImageTest, MissingBlobs) {
  unlink(blob(image_.layers[0].digest).c_str());
  expect_problem("lacks blobs/sha256/" + image_.layers[0].digest.hex());
}

TEST_F(ValidateImageTest, ExtraBlobsAndFiles) {
  store("nobody wants this");
  expect_problem("nothing refers to");
  write_text(out("layout/readme"), "");
  expect_problem("unexpected file readme");
}

TEST_F(ValidateImageTest, Layout) {
  write_text(out("layout/oci-layout"), R"({"imageLayoutVersion":"1.1.0"})");
  expect_problem("oci-layout: wrong version");
  unlink(out("layout/oci-layout").c_str());
  expect_problem("lacks oci-layout");
}

TEST_F(ValidateImageTest, Index) {
  edit_index([](OrderedJson& index) { index["mediaType"] = "text/plain"; });
  expect_problem("index.json: wrong mediaType");
  edit_index([](OrderedJson& index) { index["schemaVersion"] = 1; });
  expect_problem("schemaVersion is not 2");
  edit_index([](OrderedJson& index) { index["manifests"][0]["size"] = 7; });
  expect_problem("wrong size");
  edit_index(
      [](OrderedJson& index) { index["manifests"][0]["platform"]["architecture"] = "arm64"; });
  expect_problem("platform is not the config's");
  edit_index([](OrderedJson& index) {
    index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = "2";
  });
  expect_problem("ref.name is not the name's tag");
  edit_index([](OrderedJson& index) {
    index["manifests"][0]["annotations"].erase("org.opencontainers.image.created");
  });
  expect_problem("no time of creation");
  edit_index([](OrderedJson& index) { index["manifests"][0]["digest"] = "sha256:12"; });
  expect_problem("without a digest");
  edit_index([](OrderedJson& index) { index["manifests"] = OrderedJson::array(); });
  expect_problem("without manifests");
}

TEST_F(ValidateImageTest, ManifestTypes) {
  edit_manifest([](OrderedJson& manifest) {
    manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd";
    manifest["layers"][1]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    manifest["layers"][2]["size"] = 1;
    manifest["config"]["mediaType"] = "application/json";
    manifest["schemaVersion"] = 1;
    manifest["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json";
  });
  expect_problem("is not what its type says");
  expect_problem("media type of another family");
  expect_problem("wrong size");
  expect_problem("config: wrong media type");
  expect_problem("manifest: schemaVersion is not 2");
  expect_problem("manifest: mediaType is not the descriptor's");
}

TEST_F(ValidateImageTest, LayersInAnotherOrder) {
  edit_manifest(
      [](OrderedJson& manifest) { std::swap(manifest["layers"][0], manifest["layers"][1]); });
  expect_problem("diff_ids are not those of the layers");
}

TEST_F(ValidateImageTest, Config) {
  edit_config([](OrderedJson& config) {
    config["os"] = "";
    config["created"] = "yesterday";
    config["rootfs"]["type"] = "flat";
    config["rootfs"]["diff_ids"].erase(0);
    config["history"].erase(0);
    config["history"][0].erase("created");
  });
  expect_problem("config: no os");
  expect_problem("config: created is no time");
  expect_problem("rootfs.type is not layers");
  expect_problem("diff_ids are not those of the layers");
  expect_problem("history does not match the layers");
  expect_problem("history without a time");
}

TEST_F(ValidateImageTest, TruncatedAndGarbageLayers) {
  const std::string good = *sys::read_file(blob(image_.layers[0].digest));
  for (const std::string& bytes : {good.substr(0, good.size() - 9), good + "garbage"}) {
    const OrderedJson stored = store(bytes);
    edit_manifest([&](OrderedJson& manifest) { manifest["layers"][0].update(stored); });
    expect_problem("is damaged gzip");
    image_.manifest.digest = Digest::parse(
        OrderedJson::parse(*sys::read_file(out("layout/index.json")))["manifests"][0]["digest"]
            .get<std::string>());
  }
}

TEST_F(ValidateImageTest, TarHeaders) {
  const std::string good = *sys::read_file(out("docker.tar"));
  const auto with = [&](size_t at, std::string_view value) {
    edit_tar([&](std::string& bytes) {
      bytes = good;
      edit_header(bytes, at, value);
    });
  };
  with(136, "00000000001");
  expect_problem("has a time", "docker.tar");
  with(108, "0000007");
  expect_problem("has an owner", "docker.tar");
  with(100, "0000777");
  expect_problem("has an odd mode", "docker.tar");
  with(0, "zzz");
  expect_problem("is not after", "docker.tar");
  edit_tar([&](std::string& bytes) {
    bytes = good;
    bytes[0] = 'x';
  });
  expect_problem("bad checksum", "docker.tar");
  edit_tar([&](std::string& bytes) { bytes = good.substr(0, good.size() - 512); });
  expect_problem("two blocks of zeros", "docker.tar");
  edit_tar([&](std::string& bytes) { bytes = good.substr(0, good.size() / 2); });
  expect_problem("", "docker.tar");
  EXPECT_FALSE(validate_image(out("docker.tar")).empty());
}

TEST_F(ValidateImageTest, DockerManifest) {
  const std::string good = *sys::read_file(out("docker.tar"));
  const auto replace_in_manifest = [&](const std::string& from, const std::string& to) {
    edit_tar([&](std::string& bytes) {
      bytes = good;
      const size_t at = bytes.find(from, bytes.find("[{\"Config\""));
      ASSERT_NE(at, std::string::npos);
      bytes.replace(at, to.size(), to);
    });
  };
  replace_in_manifest("app:1", "app:2");
  expect_problem("index.json does not have app:2", "docker.tar");
  replace_in_manifest("RepoTags", "RepoTagz");
  expect_problem("not all names are in RepoTags", "docker.tar");
  replace_in_manifest(image_.config.digest.hex(), std::string(64, '0'));
  expect_problem("wrong Config", "docker.tar");
  replace_in_manifest(image_.layers[1].digest.hex(), image_.layers[0].digest.hex());
  expect_problem("wrong Layers", "docker.tar");
}

}  // namespace
}  // namespace lade
