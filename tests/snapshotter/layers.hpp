// Helpers of the tests of layers: entries in a line, random trees, real overlay mounts.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "snapshotter/tree/layer_index.hpp"

namespace lade::testing_layers {

Entry dir(std::string path, uint32_t mode = 0755);
Entry file(std::string path, uint64_t size = 0);
Entry link(std::string path, std::string target);
Entry whiteout(std::string path);
Entry opaque(std::string path);
std::shared_ptr<const LayerIndex> layer(std::vector<Entry> entries);

/// "d a 755 0:0 ...": everything of an entry that a mount shows (no opaque mark, no content).
std::string line(const Entry& entry, bool with_dir_times = true);
/// One line per entry below the root, sorted by path.
std::vector<std::string> lines(std::vector<Entry> entries, bool with_dir_times = true);
std::vector<std::string> lines(const MergedIndex& merged, bool with_dir_times = true);

/// A random layer over few names, so that layers of a stack meet: directories, opaque ones, files,
/// symlinks, fifos, whiteouts.
std::vector<Entry> random_layer(std::mt19937& random);

/// Leaves out the whiteouts that hide nothing of `lower`.
std::vector<Entry> without_idle_whiteouts(std::vector<Entry> entries, const MergedIndex& lower);

/// Puts entries on disk; regular files get `content` of their path.
void write_tree(const std::string& path, std::vector<Entry> entries);
std::string content_of(const Entry& entry);

/// Runs `body` on a thread with a mount namespace of its own, which ends with it.
void in_mount_namespace(const std::function<void()>& body);
/// Mounts an overlay as a step's root is; `lowers` top-most first. Only in in_mount_namespace().
void mount_overlay(const std::vector<std::string>& lowers, const std::string& upper,
                   const std::string& work, const std::string& target);
bool can_mount();

}  // namespace lade::testing_layers
