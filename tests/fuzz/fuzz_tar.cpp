// extract_tar on arbitrary bytes: nothing appears outside its directory, and what it accepts is an
// index that says what is on disk. Wants root (owners, devices); the directory is on the build
// machine's /dev/shm.
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/temp_dir.hpp"
#include "snapshotter/dir_scan.hpp"
#include "snapshotter/tar.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lade;
  if (size == 0) return 0;
  const TempDir temp = TempDir::create("/dev/shm", "lade-fuzz-");
  sys::make_dirs(temp.path() + "/in");
  const UniqueFd dir = sys::open(temp.path() + "/in", O_RDONLY | O_DIRECTORY);
  // The first byte chooses the dialect, so that one corpus serves both.
  const TarDialect dialect = (data[0] & 1) != 0 ? TarDialect::plain : TarDialect::layer;
  StringSource source({reinterpret_cast<const char*>(data) + 1, size - 1});
  try {
    const LayerIndex index = extract_tar(source, dir.get(), dialect);
    auto scanned = scan_tree(dir.get(), false);
    if (!index.find(""))
      std::erase_if(scanned, [](const Entry& entry) { return entry.path.empty(); });
    const LayerIndex on_disk(std::move(scanned));
    if (on_disk.entries().size() != index.entries().size()) std::abort();
    for (const auto& entry : index.entries()) {
      const Entry* found = on_disk.find(entry.path);
      if (!found || found->type != entry.type || found->mode != entry.mode ||
          found->uid != entry.uid || found->gid != entry.gid || found->size != entry.size ||
          found->link_target != entry.link_target || found->opaque != entry.opaque ||
          found->hardlink_group != entry.hardlink_group) {
        std::abort();
      }
    }
  } catch (const Error&) {
  }
  const UniqueFd top = sys::open(temp.path(), O_RDONLY | O_DIRECTORY);
  if (sys::list_dir(top.get()).size() != 1) std::abort();
  return 0;
}
