#include "layers.hpp"

#include <algorithm>
#include <exception>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "snapshotter/tree/tree_writer.hpp"

namespace lade::testing_layers {

Entry dir(std::string path, uint32_t mode) {
  Entry entry;
  entry.path = std::move(path);
  entry.type = EntryType::directory;
  entry.mode = mode;
  return entry;
}

Entry file(std::string path, uint64_t size) {
  Entry entry;
  entry.path = std::move(path);
  entry.mode = 0644;
  entry.size = size;
  return entry;
}

Entry link(std::string path, std::string target) {
  Entry entry;
  entry.path = std::move(path);
  entry.type = EntryType::symlink;
  entry.link_target = std::move(target);
  return entry;
}

Entry whiteout(std::string path) {
  Entry entry;
  entry.path = std::move(path);
  entry.type = EntryType::whiteout;
  return entry;
}

Entry opaque(std::string path) {
  Entry entry = dir(std::move(path));
  entry.opaque = true;
  return entry;
}

std::shared_ptr<const LayerIndex> layer(std::vector<Entry> entries) {
  return std::make_shared<const LayerIndex>(std::move(entries));
}

std::string line(const Entry& entry, bool with_dir_times) {
  const bool timed = with_dir_times || entry.type != EntryType::directory;
  std::string out = fmt::format(
      "{} t{} {:o} {}:{} s{} m{}.{} {}:{} ->{}", entry.path, static_cast<int>(entry.type),
      entry.mode, entry.uid, entry.gid, entry.size, timed ? entry.mtime_sec : 0,
      timed ? entry.mtime_nsec : 0, entry.dev_major, entry.dev_minor, entry.link_target);
  for (const auto& xattr : entry.xattrs) out += " " + xattr.name + "=" + xattr.value;
  return out;
}

std::vector<std::string> lines(std::vector<Entry> entries, bool with_dir_times) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return compare_paths(a.path, b.path) < 0; });
  std::vector<std::string> out;
  for (const auto& entry : entries) {
    if (!entry.path.empty()) out.push_back(line(entry, with_dir_times));
  }
  return out;
}

std::vector<std::string> lines(const MergedIndex& merged, bool with_dir_times) {
  std::vector<std::string> out;
  merged.walk("", [&](const Found& found) {
    out.push_back(line(*found.entry, with_dir_times));
    return true;
  });
  return out;
}

std::vector<Entry> random_layer(std::mt19937& random) {
  const auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
  static const std::vector<std::string> kNames = {"a", "b", "b.c", "d"};
  std::vector<Entry> out;
  const std::function<void(const std::string&, int)> fill = [&](const std::string& path,
                                                                int depth) {
    for (const auto& name : kNames) {
      if (below(3) == 0) continue;
      const std::string child = path.empty() ? name : path + "/" + name;
      Entry entry;
      const unsigned kind = below(10);
      if (kind < 5 && depth < 4) {
        entry = dir(child, below(2) ? 0755 : 0710);
        entry.opaque = below(4) == 0;
      } else if (kind < 7) {
        entry = file(child, below(20));
      } else if (kind == 7) {
        entry = link(child, below(2) ? "../a" : "/b/d");
      } else if (kind == 8) {
        entry = file(child);
        entry.type = EntryType::fifo;
      } else {
        out.push_back(whiteout(child));
        continue;
      }
      entry.uid = below(3);
      entry.gid = below(3);
      entry.mtime_sec = 1'000'000'000 + below(1000);
      entry.mtime_nsec = below(1000);
      out.push_back(entry);
      if (entry.type == EntryType::directory) fill(child, depth + 1);
    }
  };
  fill("", 0);
  return out;
}

std::vector<Entry> without_idle_whiteouts(std::vector<Entry> entries, const MergedIndex& lower) {
  const auto below_opaque = [&](const std::string& path) {
    return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
      return entry.opaque && path.starts_with(entry.path + "/");
    });
  };
  std::vector<Entry> out;
  for (const auto& entry : entries) {
    const bool idle = !lower.find(entry.path) || below_opaque(entry.path);
    if (entry.type != EntryType::whiteout || !idle) out.push_back(entry);
  }
  return out;
}

std::string content_of(const Entry& entry) {
  std::string out;
  while (out.size() < entry.size) out += entry.path + ";";
  out.resize(entry.size);
  return out;
}

void write_tree(const std::string& path, std::vector<Entry> entries) {
  const UniqueFd top = sys::open(path, O_RDONLY | O_DIRECTORY);
  TreeWriter writer(top.get(), false);
  for (auto& entry : entries) {
    if (entry.type == EntryType::regular) {
      const UniqueFd fd = writer.create_file(entry);
      sys::write_all(fd.get(), content_of(entry));
      writer.finish_file(fd.get(), entry);
    } else {
      writer.make(entry);
    }
  }
  for (auto& entry : entries) {
    if (entry.type == EntryType::directory) writer.finish_directory(entry);
  }
}

void in_mount_namespace(const std::function<void()>& body) {
  std::exception_ptr failure;
  std::thread thread([&] {
    try {
      if (::unshare(CLONE_NEWNS) != 0) throw_errno("unshare");
      if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) throw_errno("mount");
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  thread.join();
  if (failure) std::rethrow_exception(failure);
}

void mount_overlay(const std::vector<std::string>& lowers, const std::string& upper,
                   const std::string& work, const std::string& target) {
  std::string options = "index=off,metacopy=off,redirect_dir=nofollow,xino=off,nfs_export=off";
  options += ",lowerdir=" + join(lowers, ":");
  if (!upper.empty()) options += ",volatile,upperdir=" + upper + ",workdir=" + work;
  if (::mount("overlay", target.c_str(), "overlay", 0, options.c_str()) != 0) {
    throw_errno("could not mount " + options);
  }
}

bool can_mount() {
  static const bool can = [] {
    try {
      in_mount_namespace([] {});
      return true;
    } catch (const Error&) {
      return false;
    }
  }();
  return can;
}

}  // namespace lade::testing_layers
