// A file tree that can be read: a stack of layers, or a directory of the user's. What COPY and ADD
// read from, behind one interface.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "snapshotter/layers/layer_store.hpp"
#include "snapshotter/tree/layer_index.hpp"

namespace lade {

/// A directory of the user's is not what it was when it was scanned, and what was hashed then is
/// nowhere to be had. Scanned again, it may be.
class ChangedContext : public Error {
 public:
  /// `context` as Tree::what(); `path` is relative to it.
  ChangedContext(const std::string& context, const std::string& path)
      : Error(quoted(path) + " changed while building"), context_(context), path_(path) {
    set_hint("build again, when nothing writes to " + context);
  }
  const std::string& context() const { return context_; }
  const std::string& path() const { return path_; }

 private:
  std::string context_;
  std::string path_;
};

/// What has to be read of a tree before it is known.
struct TreeReading {
  uint64_t done = 0;   ///< bytes that were read so far
  uint64_t total = 0;  ///< of all files whose contents are not known from before
  size_t files = 0;    ///< how many these are
};

/// Thread-safe. `index()` answers all questions but the bytes.
class Tree {
 public:
  virtual ~Tree() = default;
  virtual const MergedIndex& index() const = 0;
  /// A regular file's bytes. Throws Error if they are not what was known any more.
  virtual UniqueFd open(const Found& file) const = 0;
  /// Digest of a regular file's bytes; reads them unless it is known.
  virtual Digest content(const Found& file) const = 0;
  /// The entry of a regular file with its content's digest, and the size that belongs to that.
  virtual Entry hashed(const Found& file) const {
    Entry entry = *file.entry;
    entry.content = content(file);
    return entry;
  }
  /// Tells what was read while copying, to save content() the reading. False if the bytes were
  /// others than those that were hashed, which open() gives from now on; throws Error if nobody has
  /// those any more.
  virtual bool copied(const Found& file, const Digest& content) const = 0;
  /// The digest that remember_selection() was told for `question`, maybe by an earlier build, if
  /// nothing in the tree has changed since.
  virtual std::optional<Digest> known_selection(const Digest& /*question*/) const { return {}; }
  virtual void remember_selection(const Digest& /*question*/, const Digest& /*selection*/) const {}
  /// Has `told`, and nothing that was given before, called now and then, by whatever thread reads,
  /// where contents take long to read.
  virtual void watch_reading(std::function<void(const TreeReading&)> /*told*/) const {}
  /// For messages: "the build context", "stage build".
  virtual std::string what() const = 0;
  /// Why `path` may be missing, as a hint; empty if unknown.
  virtual std::string missing_hint(const std::string& path) const = 0;
};

/// The merged view of `stack`; its directories must be here when files are read.
std::shared_ptr<const Tree> stack_tree(LayerStore& layers, LayerStack stack);

}  // namespace lade
