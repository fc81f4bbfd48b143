#include "exporter/flat_tree.hpp"

#include <algorithm>
#include <map>

#include <sys/mman.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/parallel.hpp"
#include "base/stream.hpp"
#include "exporter/attestation.hpp"
#include "exporter/fetchers.hpp"
#include "exporter/layer_blob.hpp"

namespace lade {
namespace {

/// The files of a tree, with their digests. Names of one file are read once.
std::vector<AttestationSubject> files_of(const std::vector<Entry>& entries,
                                         const std::function<UniqueFd(const Entry&)>& open) {
  std::vector<const Entry*> files;
  std::vector<size_t> first;  // the position of the first name of each file
  std::map<uint32_t, size_t> groups;
  for (const Entry& entry : entries) {
    if (entry.type != EntryType::regular) continue;
    const size_t at = files.size();
    files.push_back(&entry);
    const bool linked = entry.hardlink_group != 0;
    first.push_back(linked ? groups.try_emplace(entry.hardlink_group, at).first->second : at);
  }
  std::vector<Digest> digests(files.size());
  parallel_for(0, files.size(), [&](size_t i) {
    digests[i] = files[i]->content;
    if (!digests[i].empty() || first[i] != i) return;
    FdSource source(open(*files[i]));
    HashSink sink;
    copy_stream(source, sink);
    digests[i] = sink.digest();
  });
  std::vector<AttestationSubject> out;
  for (size_t i = 0; i < files.size(); ++i) out.push_back({files[i]->path, digests[first[i]]});
  return out;
}

/// A file that is nowhere but in memory, to be read from its start.
UniqueFd memory_file(std::string_view text) {
  UniqueFd fd(::memfd_create("lade-attestation", MFD_CLOEXEC));
  if (!fd) throw_errno("could not make a memory file");
  sys::write_all(fd.get(), text);
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) throw_errno("could not seek in a memory file");
  return fd;
}

}  // namespace

void ensure_directories(StateDir& state, const LayerStack& stack, const LayerProvider& provider) {
  std::vector<size_t> missing;  // positions
  for (size_t i = 0; i < stack.size(); ++i) {
    if (!state.layers().has_directory(stack[i])) missing.push_back(i);
  }
  std::function<void(size_t)> unpack;  // the layer at a position
  unpack = [&](size_t position) {
    const auto at = stack.begin() + static_cast<ptrdiff_t>(position);
    const auto blobs = blob_provider(state, *at, provider);
    const auto make = [&](LayerId lower) {
      unpack(static_cast<size_t>(std::find(stack.begin(), at, lower) - stack.begin()));
    };
    try {
      state.layers().ensure_directory(*at, *blobs, nullptr, {LayerStack(stack.begin(), at), make});
    } catch (const LostLayer&) {
      throw;
    } catch (const Error& error) {
      throw LostLayer(*at, error);
    }
  };
  Fetchers fetchers(missing.size(), [&](size_t i) { unpack(missing[i]); });
  fetchers.join();
}

FlatTree::FlatTree(StateDir& state, const ImageSource& source, std::optional<Timestamp> epoch)
    : state_(state), stack_(source.layers) {
  ensure_directories(state, stack_, source.provider);
  const MergedIndex merged = state.layers().merged(stack_);
  std::map<std::pair<size_t, uint32_t>, uint32_t> groups;
  merged.walk("", [&](const Found& found) {
    Entry entry = *found.entry;
    entry.path = found.path;
    if (entry.hardlink_group != 0) {
      const auto next = static_cast<uint32_t>(groups.size() + 1);
      entry.hardlink_group =
          groups.try_emplace({found.layer, entry.hardlink_group}, next).first->second;
    }
    if (epoch) {
      entry.mtime_sec = epoch->seconds;
      entry.mtime_nsec = static_cast<uint32_t>(epoch->nanoseconds);
    }
    entries_.push_back(std::move(entry));
    layers_.push_back(found.layer);
    return true;
  });
  add_attestations(source, epoch);
}

void FlatTree::add_attestations(const ImageSource& source, std::optional<Timestamp> epoch) {
  std::vector<AttestationSubject> subjects;
  for (const auto& request : source.attestations) {
    if (request.inline_only) continue;
    if (subjects.empty()) subjects = files_of(entries_, [&](const Entry& at) { return open(at); });
    Entry entry;
    entry.path = request.file_name;
    entry.mode = 0600;
    const Timestamp time = epoch.value_or(Timestamp::now());
    entry.mtime_sec = time.seconds;
    entry.mtime_nsec = static_cast<uint32_t>(time.nanoseconds);
    std::string& text = texts_[entry.path];
    text = attestation_statement(request.make(nullptr), subjects, true);
    entry.size = text.size();
    const auto at = position(entry.path);
    const bool there = at < entries_.size() && entries_[at].path == entry.path;
    if (there && entries_[at].type == EntryType::directory) {
      throw Error("the result has a directory where its attestation goes: " + quoted(entry.path));
    }
    if (there) {
      entries_[at] = std::move(entry);
    } else {
      entries_.insert(entries_.begin() + static_cast<ptrdiff_t>(at), std::move(entry));
      layers_.insert(layers_.begin() + static_cast<ptrdiff_t>(at), 0);
    }
  }
}

size_t FlatTree::position(const std::string& path) const {
  const auto at = std::lower_bound(
      entries_.begin(), entries_.end(), path, [](const Entry& candidate, const auto& wanted) {
        return compare_paths(candidate.path, wanted) == std::strong_ordering::less;
      });
  return static_cast<size_t>(at - entries_.begin());
}

UniqueFd FlatTree::open(const Entry& entry) const {
  const auto text = texts_.find(entry.path);
  if (text != texts_.end()) return memory_file(text->second);
  const auto layer = layers_.at(position(entry.path));
  return state_.layers().open_entry(stack_.at(layer), entry);
}

}  // namespace lade
