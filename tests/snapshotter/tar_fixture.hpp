// Tars made by hand, and where they are extracted to.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "layers.hpp"
#include "snapshotter/tar/tar.hpp"
#include "snapshotter/tree/dir_scan.hpp"

namespace lade::testing_layers {

/// A ustar member made by hand, so that the reader is tested against something that is not
/// libarchive.
inline std::string member(const std::string& name, char type, const std::string& data = "",
                          const std::string& target = "", unsigned mode = 0644) {
  std::string block(512, '\0');
  const auto put = [&](size_t at, const std::string& text) {
    block.replace(at, text.size(), text);
  };
  put(0, name.substr(0, 100));
  put(100, fmt::format("{:07o}", mode));
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", data.size()));
  put(136, "00000000007");
  put(148, "        ");
  block[156] = type;
  put(157, target.substr(0, 100));
  put(257, std::string("ustar\0"
                       "00",
                       8));
  put(329, "0000001");
  put(337, "0000003");
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  block += data;
  block.resize((block.size() + 511) / 512 * 512);
  return block;
}

inline std::string pax(const std::vector<std::pair<std::string, std::string>>& records) {
  std::string out;
  for (const auto& [key, value] : records) {
    const size_t rest = key.size() + value.size() + 3;
    size_t size = rest + 1;
    while (std::to_string(size).size() + rest != size) ++size;
    out += fmt::format("{} {}=", size, key) + value + "\n";
  }
  return member("PaxHeaders/x", 'x', out);
}

inline const std::string kEnd(1024, '\0');

class TarTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to set owners and devices";
  }

  LayerIndex extract(const std::string& tar, TarDialect dialect = TarDialect::layer) {
    temp_ = TempDir::create("/tmp", "lade-test-");
    dir_ = sys::open(temp_.path(), O_RDONLY | O_DIRECTORY);
    StringSource source(tar);
    return extract_tar(source, dir_.get(), dialect);
  }

  std::string failure(const std::string& tar) {
    try {
      extract(tar + kEnd);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.message();
      return error.message();
    }
    return "no error";
  }

  /// The index has to say what is on disk: a scan gives the same, but for the hashes.
  void expect_matches_disk(const LayerIndex& index) {
    auto scanned = scan_tree(dir_.get(), false);
    if (!index.find("")) std::erase_if(scanned, [](const Entry& e) { return e.path.empty(); });
    std::vector<Entry> stored = index.entries();
    for (auto& entry : stored) entry.content = Digest();
    EXPECT_EQ(LayerIndex(scanned).entries(), stored);
  }

  static std::vector<std::string> paths(const LayerIndex& index) {
    std::vector<std::string> out;
    for (const auto& entry : index.entries()) out.push_back(entry.path);
    return out;
  }

  static UniqueFd open_content(const Entry& entry) {
    UniqueFd fd = sys::open("/tmp", O_RDWR | O_TMPFILE, 0600);
    sys::write_all(fd.get(), content_of(entry));
    ::lseek(fd.get(), 0, SEEK_SET);
    return fd;
  }

  static std::string write(const LayerIndex& index, const TarOptions& options = {}) {
    StringSink out;
    write_layer_tar(index, open_content, out, options);
    return out.take();
  }

  TempDir temp_;
  UniqueFd dir_;
};

}  // namespace lade::testing_layers
