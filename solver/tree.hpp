// A file tree that can be read: a stack of layers, or a directory of the user's. What COPY and ADD
// read from, behind one interface.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "snapshotter/layer_index.hpp"
#include "snapshotter/layer_store.hpp"

namespace lade {

/// Thread-safe. `index()` answers all questions but the bytes.
class Tree {
 public:
  virtual ~Tree() = default;
  virtual const MergedIndex& index() const = 0;
  /// A regular file's bytes. Throws if they are not what the index says any more.
  virtual UniqueFd open(const Found& file) const = 0;
  /// Digest of a regular file's bytes; reads them unless it is known.
  virtual Digest content(const Found& file) const = 0;
  /// Tells what was read while copying, to save content() the reading; throws Error if that
  /// contradicts what was known before ("changed while building").
  virtual void copied(const Found& file, const Digest& content) const = 0;
  /// The digest that remember_selection() was told for `question`, maybe by an earlier build, if
  /// nothing in the tree has changed since.
  virtual std::optional<Digest> known_selection(const Digest& /*question*/) const { return {}; }
  virtual void remember_selection(const Digest& /*question*/, const Digest& /*selection*/) const {}
  /// For messages: "the build context", "stage build".
  virtual std::string what() const = 0;
  /// Why `path` may be missing, as a hint; empty if unknown.
  virtual std::string missing_hint(const std::string& path) const = 0;
};

/// The merged view of `stack`; its directories must be here when files are read.
std::shared_ptr<const Tree> stack_tree(LayerStore& layers, LayerStack stack);

}  // namespace lade
