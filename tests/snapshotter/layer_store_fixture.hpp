// A layer store in a directory of its own, for tests.
#pragma once

#include <atomic>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.hpp"
#include "layers.hpp"
#include "snapshotter/layers/layer_store.hpp"
#include "snapshotter/tar/tar.hpp"

namespace lade::testing_layers {

/// Gives blobs out of memory and counts how often.
class MemoryProvider : public BlobProvider {
 public:
  std::unique_ptr<ByteSource> open(const Descriptor& descriptor) override {
    ++opened;
    const auto at = blobs.find(descriptor.digest);
    if (at == blobs.end()) throw Error("no such blob", ErrorKind::not_found);
    return std::make_unique<StringSource>(at->second);
  }
  std::string where() const override { return "memory"; }

  std::map<Digest, std::string> blobs;
  std::atomic<int> opened = 0;
};

class LayerStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to set owners and devices";
    reopen();
  }

  void reopen(const LayerStoreOptions& options = {}) {
    store_.reset();
    database_ = Database::open(root_ + "/lade.db", 1, LayerStore::schema());
    content_ = ContentStore::open(root_);
    sys::make_dirs(root_ + "/layers");
    store_ = LayerStore::open(root_, *database_, *content_, options);
  }

  LayerId commit(std::vector<Entry> entries) {
    PendingLayer pending = store_->prepare();
    LayerIndex index(std::move(entries));
    write_tree(pending.path(), index.entries());
    return store_->commit(std::move(pending), std::move(index));
  }

  /// The blob of a layer that the provider has.
  Descriptor remote(std::vector<Entry> entries, DiffId* diff_id = nullptr) {
    StringSink out;
    write_layer_tar(
        LayerIndex(std::move(entries)),
        [](const Entry& entry) {
          UniqueFd fd = sys::open("/tmp", O_RDWR | O_TMPFILE, 0600);
          sys::write_all(fd.get(), content_of(entry));
          ::lseek(fd.get(), 0, SEEK_SET);
          return fd;
        },
        out);
    const std::string tar = out.take();
    const Digest digest = Digest::of(tar);
    if (diff_id) *diff_id = {digest};
    provider_.blobs[digest] = tar;
    Descriptor blob;
    blob.media_type = media_type::kOciLayer;
    blob.digest = digest;
    blob.size = tar.size();
    return blob;
  }

  std::string read(const LayerStack& stack, const std::string& path) {
    const MergedIndex merged = store_->merged(stack);
    const auto found = merged.find(path);
    if (!found) return "absent";
    FdSource source(store_->open_file(stack, *found));
    return read_all(source, 1 << 20, path);
  }

  std::vector<std::string> names_in(const std::string& dir) {
    return sys::list_dir(sys::open(root_ + "/" + dir, O_RDONLY | O_DIRECTORY).get());
  }

  bool durable(LayerId layer) {
    auto row = database_->prepare("SELECT durable FROM layers WHERE id = ?");
    return row.bind(layer).step() && row.integer(0) != 0;
  }

  TempDir temp_ = TempDir::create("/tmp", "lade-test-");
  std::string root_ = temp_.path();
  std::unique_ptr<Database> database_;
  std::unique_ptr<ContentStore> content_;
  std::unique_ptr<LayerStore> store_;
  MemoryProvider provider_;
};

}  // namespace lade::testing_layers
