// LayerStore: layers whose files are links of other layers' files, and how they get their own.

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <tbb/task_arena.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/parallel.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/layers/layer_store.hpp"
#include "snapshotter/layers/layer_store_state.hpp"
#include "snapshotter/tree/open_beneath.hpp"
#include "snapshotter/tree/tree_writer.hpp"

namespace lade {
namespace {

constexpr size_t kFilesAtOnce = 256;

/// Names that are one file, in the order of the index: most often a single one.
using Names = std::vector<const Entry*>;

/// Of one layer. Each file is made beside the layer and renamed over the old one, so that the layer
/// is whole at every moment.
class PrivateFiles {
 public:
  /// `layer` is its directory, `scratch` an empty one on the same filesystem.
  PrivateFiles(const std::string& layer, const LayerIndex& index, const std::string& scratch,
               bool userxattr)
      : index_(index),
        root_(sys::open(layer, O_RDONLY | O_DIRECTORY)),
        scratch_(sys::open(scratch, O_RDONLY | O_DIRECTORY)),
        userxattr_(userxattr) {
    std::map<std::string_view, std::vector<Names>> by_directory;
    std::map<uint32_t, Names> groups;
    for (const Entry& entry : index.entries()) {
      if (entry.type != EntryType::regular) continue;
      if (entry.hardlink_group != 0) {
        groups[entry.hardlink_group].push_back(&entry);
      } else {
        by_directory[parent_of(entry.path)].push_back({&entry});
      }
    }
    for (auto& [group, names] : groups) {
      by_directory[parent_of(names.front()->path)].push_back(std::move(names));
    }
    for (auto& [directory, files] : by_directory) {
      for (size_t at = 0; at < files.size(); at += kFilesAtOnce) {
        const auto first = files.begin() + static_cast<ptrdiff_t>(at);
        const auto count = static_cast<ptrdiff_t>(std::min(kFilesAtOnce, files.size() - at));
        parts_.emplace_back(first, first + count);
      }
    }
  }

  /// Keeps those whose names are more than the layer's own.
  void find_shared() {
    each_part([&](std::vector<Names>& part) {
      Parent parent(root_.get());
      std::erase_if(part, [&](const Names& names) { return !is_shared(parent, names); });
    });
    std::erase_if(parts_, [](const auto& part) { return part.empty(); });
  }
  bool any() const { return !parts_.empty(); }

  void replace() {
    each_part([&](std::vector<Names>& part) {
      Parent parent(root_.get());
      TreeWriter writer(scratch_.get(), userxattr_);
      for (const Names& names : part) replace(parent, names, writer);
    });
    restore_times();
  }

 private:
  template <class Body>
  void each_part(Body body) {
    // Isolated: while this thread waits for the others it must not start work that wants the same
    // lock.
    tbb::this_task_arena::isolate(
        [&] { parallel_for(0, parts_.size(), [&](size_t i) { body(parts_[i]); }); });
  }

  /// The directory of the file that was looked at last: most often that of the next.
  class Parent {
   public:
    explicit Parent(int root) : root_(root) {}
    int of(const Entry& entry) {
      const std::string_view path = parent_of(entry.path);
      if (!fd_ || path != path_) {
        path_ = path;
        fd_ = open_beneath(root_, path_, O_RDONLY | O_DIRECTORY);
      }
      return fd_.get();
    }

   private:
    int root_;
    std::string path_;
    UniqueFd fd_;
  };

  static struct stat look(Parent& parent, const Entry& entry) {
    const auto info = sys::lstatat(parent.of(entry), base_name(entry.path));
    if (!info) throw Error("a layer lost its file " + quoted(entry.path), ErrorKind::corrupt);
    return *info;
  }

  static bool is_shared(Parent& parent, const Names& names) {
    const struct stat first = look(parent, *names.front());
    if (first.st_nlink != names.size()) return true;
    // Nor have they come apart when this was ended in the middle.
    return std::any_of(names.begin() + 1, names.end(), [&](const Entry* entry) {
      return look(parent, *entry).st_ino != first.st_ino;
    });
  }

  void replace(Parent& parent, const Names& names, TreeWriter& writer) {
    Entry entry = *names.front();
    const UniqueFd from =
        sys::openat(parent.of(entry), base_name(entry.path), O_RDONLY | O_NOFOLLOW);
    entry.path = fmt::format("{}", next_++);
    {
      const UniqueFd to = writer.create_file(entry);
      if (sys::copy_data(from.get(), to.get(), entry.size) != entry.size) {
        throw Error("a layer lost a part of " + quoted(names.front()->path), ErrorKind::corrupt);
      }
      writer.finish_file(to.get(), entry);
    }
    for (size_t i = names.size(); i-- > 0;) {
      std::string made = entry.path;
      if (i > 0) {
        made = fmt::format("{}", next_++);
        if (::linkat(scratch_.get(), entry.path.c_str(), scratch_.get(), made.c_str(), 0) != 0) {
          throw_errno("could not link a layer's file");
        }
      }
      sys::renameat(scratch_.get(), made, parent.of(*names[i]), base_name(names[i]->path));
    }
  }

  /// What was renamed into a directory has changed its time.
  void restore_times() const {
    for (const Entry& entry : index_.entries()) {
      if (entry.type != EntryType::directory || entry.path.empty()) continue;
      const UniqueFd dir = open_beneath(root_.get(), entry.path, O_RDONLY | O_DIRECTORY);
      const timespec times[2] = {{0, UTIME_OMIT},
                                 {entry.mtime_sec, static_cast<long>(entry.mtime_nsec)}};
      if (::futimens(dir.get(), times) != 0) {
        throw_errno("could not set the times of " + quoted(entry.path));
      }
    }
  }

  const LayerIndex& index_;
  UniqueFd root_;
  UniqueFd scratch_;
  bool userxattr_;
  std::vector<std::vector<Names>> parts_;
  std::atomic<uint64_t> next_ = 0;
};

}  // namespace

std::unique_ptr<MountBar> LayerStore::lend(LayerId layer) {
  auto bar = MountBar::try_make(state_->root, layer);
  if (!bar) return nullptr;
  // Before the first link: whoever mounts the layer next finds it.
  state_->database.prepare("INSERT OR IGNORE INTO shared_layers(layer) VALUES(?)")
      .bind(layer)
      .run();
  return std::make_unique<MountBar>(std::move(*bar));
}

bool LayerStore::keep_private(const LayerStack& stack, bool wait) {
  const LayerStack fresh = [&] {
    const std::lock_guard lock(state_->mutex);
    return state_->kept_private.missing(stack);
  }();
  for (const LayerId layer : fresh) {
    if (!state_->pins.hold_mounted(layer, wait)) return false;
    // Now that it is held, it cannot become one that shares files.
    const bool shares = [&] {
      auto row = state_->database.prepare("SELECT 1 FROM shared_layers WHERE layer = ?");
      return row.bind(layer).step();
    }();
    if (shares && !wait) return false;
    if (shares) make_private(layer);
    const std::lock_guard lock(state_->mutex);
    state_->kept_private.insert(layer);
  }
  return true;
}

void LayerStore::make_private(LayerId layer) {
  const UniqueFd lock = lock_number(state_->root, "private", static_cast<uint64_t>(layer));
  Database& database = state_->database;
  bool was_ended = false;
  {
    auto row = database.prepare("SELECT changing FROM shared_layers WHERE layer = ?");
    if (!row.bind(layer).step()) return;
    was_ended = row.integer(0) != 0;
  }
  const auto index = this->index(layer);
  const PendingLayer scratch = prepare();
  PrivateFiles files(directory(layer), *index, scratch.path(), state_->userxattr);
  files.find_shared();
  const bool changes = was_ended || files.any();
  const auto set_volatile = [&] {
    database.prepare("UPDATE layers SET durable = 0, boot_id = ? WHERE id = ?")
        .bind(state_->boot_id)
        .bind(layer)
        .run();
  };
  if (changes) {
    database.transaction([&] {
      database.prepare("UPDATE shared_layers SET changing = 1 WHERE layer = ?").bind(layer).run();
      set_volatile();
    });
    files.replace();
  }
  database.prepare("DELETE FROM shared_layers WHERE layer = ?").bind(layer).run();
  if (changes) state_->durability.note_commit();
}

}  // namespace lade
