// A state directory with small layers in it, for tests of the exporters.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "exporter/exporter.hpp"
#include "tests/support/validate_image.hpp"

namespace lade {

/// Blobs of another store, counted as they are fetched.
class CountingProvider : public BlobProvider {
 public:
  explicit CountingProvider(ContentStore& content) : content_(content) {}
  std::unique_ptr<ByteSource> open(const Descriptor& descriptor) override {
    ++opened;
    auto fd = content_.open_blob(descriptor.digest);
    if (!fd) throw Error("no such blob", ErrorKind::not_found);
    return std::make_unique<FdSource>(std::move(*fd));
  }
  std::string where() const override { return "a test"; }
  std::atomic<int> opened = 0;

 private:
  ContentStore& content_;
};

inline void write_text(const std::string& path, std::string_view text,
                       int64_t mtime = 1'600'000'000) {
  sys::write_file_atomically(path, text);
  const timespec times[2] = {{mtime, 0}, {mtime, 0}};
  utimensat(AT_FDCWD, path.c_str(), times, 0);
}

inline void set_time(const std::string& path, int64_t mtime) {
  const timespec times[2] = {{mtime, 0}, {mtime, 0}};
  utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

class ExporterTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: layers have owners and devices";
    state_ = StateDir::open(dir_.path() + "/state");
  }

  /// A layer of what `fill(directory)` makes, over `lower`.
  template <class Fill>
  LayerId layer(Fill fill, const LayerStack& lower = {}) {
    PendingLayer pending = state_->layers().prepare();
    fill(pending.path());
    set_time(pending.path(), 1'600'000'000);
    return state_->layers().commit_upper(std::move(pending), lower);
  }

  /// Three layers: files of all types; a whiteout and a changed file; nothing.
  LayerStack sample_stack() {
    LayerStack stack;
    stack.push_back(layer([](const std::string& root) {
      sys::make_dirs(root + "/etc");
      sys::make_dirs(root + "/bin");
      write_text(root + "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
      write_text(root + "/etc/gone", "removed above");
      write_text(root + "/bin/tool", std::string(200'000, 't'), 1'700'000'000);
      write_text(root + "/empty", "");
      chmod((root + "/bin/tool").c_str(), 04755);
      chown((root + "/etc/passwd").c_str(), 12, 34);
      link((root + "/bin/tool").c_str(), (root + "/bin/tool-link").c_str());
      symlink("tool", (root + "/bin/sym").c_str());
      mkfifo((root + "/pipe").c_str(), 0640);
      mknod((root + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3));
      chmod((root + "/null").c_str(), 0666);  // past the umask
      for (const char* name : {"/bin/sym", "/pipe", "/null", "/etc", "/bin"}) {
        set_time(root + name, 1'600'000'001);
      }
    }));
    stack.push_back(layer(
        [](const std::string& root) {
          sys::make_dirs(root + "/etc");
          mknod((root + "/etc/gone").c_str(), S_IFCHR, makedev(0, 0));
          write_text(root + "/etc/new", "new", 1'800'000'000);
          set_time(root + "/etc", 1'800'000'000);
        },
        stack));
    stack.push_back(layer([](const std::string&) {}, stack));
    return stack;
  }

  static ImageConfig config_for(size_t layers) {
    ImageConfig config;
    config.platform.os = "linux";
    config.platform.architecture = "amd64";
    config.config.env = {"PATH=/bin"};
    config.config.cmd = std::vector<std::string>{"/bin/tool"};
    for (size_t i = 0; i < layers; ++i) {
      HistoryEntry entry;
      entry.created_by = "RUN step " + std::to_string(i);
      config.history.push_back(entry);
    }
    HistoryEntry metadata;
    metadata.created_by = "CMD [\"/bin/tool\"]";
    metadata.empty_layer = true;
    config.history.push_back(metadata);
    return config;
  }

  ImageSource source_of(const LayerStack& stack) {
    ImageSource source;
    source.layers = stack;
    source.config = config_for(stack.size());
    return source;
  }

  static ImageOptions options_of(LayerCompression type, bool oci = true) {
    ImageOptions options;
    options.compression.type = type;
    options.oci_media_types = oci;
    options.source_date_epoch = Timestamp{1'650'000'000, 0};
    return options;
  }

  std::string out(const std::string& name) const { return dir_.path() + "/" + name; }

  static int shell(const std::string& command) {
    return std::system((command + " >/dev/null 2>&1").c_str());
  }
  static std::string output_of(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
    std::string text;
    for (int c = fgetc(pipe.get()); c != EOF; c = fgetc(pipe.get())) text += static_cast<char>(c);
    return text;
  }

  TempDir dir_ = TempDir::create(testing::TempDir());
  std::unique_ptr<StateDir> state_;
};

}  // namespace lade
