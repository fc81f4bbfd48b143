// extract_tar on arbitrary bytes: nothing appears outside its directory, and what it accepts is an
// index that says what is on disk. Wants root (owners, devices); the directory is on the build
// machine's /dev/shm.
//
// Inputs are changed by a mutator of their own: a header with a wrong checksum ends an archive, so
// that without it nearly all of what libFuzzer tries is the same input.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/temp_dir.hpp"
#include "snapshotter/tar/tar.hpp"
#include "snapshotter/tree/dir_scan.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

constexpr size_t kBlock = 512;

/// A field of a header (POSIX.1-1988 ustar).
struct Field {
  size_t offset;
  size_t size;
};
constexpr Field kSize{124, 12};
constexpr Field kChecksum{148, 8};
constexpr Field kFields[] = {{0, 100},  {100, 8},   {108, 8},   {116, 8}, kSize,
                             {136, 12}, {156, 1},   {157, 100}, {257, 8}, {329, 8},
                             {337, 8},  {345, 155}, {386, 24},  {482, 12}};

/// An octal number, or base 256 of GNU's; at most what fits.
uint64_t number_in(const uint8_t* header, Field field) {
  uint64_t out = 0;
  for (size_t i = 0; i < field.size; ++i) {
    const uint8_t c = header[field.offset + i];
    if (c >= '0' && c <= '7') out = std::min<uint64_t>(out * 8 + (c - '0'), 1u << 30);
  }
  return out;
}

void repair(uint8_t* header) {
  std::memset(header + kChecksum.offset, ' ', kChecksum.size);
  unsigned sum = 0;
  for (size_t i = 0; i < kBlock; ++i) sum += header[i];
  char text[kChecksum.size + 1];
  std::snprintf(text, sizeof text, "%06o", sum);
  std::memcpy(header + kChecksum.offset, text, 7);
}

/// Where the headers lie, as a reader that believes their sizes finds them.
std::vector<size_t> headers_of(const uint8_t* tar, size_t size) {
  std::vector<size_t> out;
  for (size_t at = 0; at + kBlock <= size;) {
    const uint8_t* header = tar + at;
    if (std::all_of(header, header + kBlock, [](uint8_t byte) { return byte == 0; })) break;
    out.push_back(at);
    const uint64_t content = number_in(header, kSize);
    at += kBlock + (content + kBlock - 1) / kBlock * kBlock;
  }
  return out;
}

/// One field of one header, or a member moved, doubled or dropped.
size_t change_member(uint8_t* tar, size_t size, size_t max_size, std::minstd_rand& random) {
  const auto headers = headers_of(tar, size);
  if (headers.empty()) return size;
  const size_t number = random() % headers.size();
  const size_t begin = headers[number];
  const size_t end = number + 1 < headers.size() ? headers[number + 1] : size;
  const size_t length = std::min(end, size) - begin;
  switch (random() % 4) {
    case 0:
      if (size + length > max_size) return size;
      std::memmove(tar + begin + length, tar + begin, size - begin);
      return size + length;
    case 1:
      std::memmove(tar + begin, tar + begin + length, size - begin - length);
      return size - length;
    default:
      const Field field = kFields[random() % std::size(kFields)];
      LLVMFuzzerMutate(tar + begin + field.offset, field.size, field.size);
      return size;
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  std::minstd_rand random(seed);
  if (size <= 1 || random() % 4 == 0) {
    size = LLVMFuzzerMutate(data, size, max_size);
  } else {
    size = 1 + change_member(data + 1, size - 1, max_size - 1, random);
  }
  if (size <= 1) return size;
  for (const size_t at : headers_of(data + 1, size - 1)) repair(data + 1 + at);
  return size;
}

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
