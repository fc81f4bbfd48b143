#include "solver/ops/tree.hpp"

#include <mutex>
#include <unordered_map>

#include "base/error.hpp"
#include "base/holes.hpp"
#include "base/stream.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

class StackTree : public Tree {
 public:
  StackTree(LayerStore& layers, LayerStack stack)
      : layers_(layers), stack_(std::move(stack)), index_(layers.merged(stack_)) {}

  const MergedIndex& index() const override { return index_; }
  UniqueFd open(const Found& file) const override { return layers_.open_file(stack_, file); }

  Digest content(const Found& file) const override {
    if (!file.entry->content.empty()) return file.entry->content;
    {
      const std::lock_guard lock(mutex_);
      const auto known = hashed_.find(file.entry);
      if (known != hashed_.end()) return known->second;
    }
    const Digest digest = hash_with_holes(open(file).get()).content;
    const std::lock_guard lock(mutex_);
    return hashed_[file.entry] = digest;
  }

  bool copied(const Found& file, const Digest& digest) const override {
    if (!file.entry->content.empty()) {
      if (file.entry->content == digest) return true;
      throw Error(
          "the bytes of " + quoted(file.path) + " in the layer store are not what they were",
          ErrorKind::corrupt);
    }
    const std::lock_guard lock(mutex_);
    hashed_.emplace(file.entry, digest);
    return true;
  }

  std::string what() const override { return "the image or stage"; }

  std::string missing_hint(const std::string& path) const override {
    const auto parent = index_.resolve(dir_name(path).substr(1));
    if (!parent) return {};
    std::vector<std::string> names;
    for (const auto& [name, found] : index_.list(parent->path)) names.push_back(name);
    const std::string meant = nearest(base_name(path), names);
    return meant.empty() ? "" : "did you mean " + join_path(dir_name(path), meant) + "?";
  }

 private:
  LayerStore& layers_;
  LayerStack stack_;
  MergedIndex index_;
  mutable std::mutex mutex_;  // guards hashed_
  mutable std::unordered_map<const Entry*, Digest> hashed_;
};

}  // namespace

std::shared_ptr<const Tree> stack_tree(LayerStore& layers, LayerStack stack) {
  return std::make_shared<StackTree>(layers, std::move(stack));
}

}  // namespace lade
