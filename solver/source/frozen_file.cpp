#include "solver/source/frozen_file.hpp"

#include <algorithm>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

UniqueFd nameless_file(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd) return fd;
  // Not every filesystem has files without a name.
  const std::string path = directory + "/frozen-" + sys::random_hex(8);
  fd = sys::open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (::unlink(path.c_str()) != 0) throw_errno("could not remove " + quoted(path));
  return fd;
}

}  // namespace

std::optional<FrozenFile> FrozenFile::take(int fd, uint64_t size, const std::string& directory) {
  UniqueFd copy = nameless_file(directory);
  Hasher hasher;
  std::vector<char> buffer(128 * 1024);
  for (uint64_t left = size; left > 0;) {
    const size_t count = sys::read_some(fd, buffer.data(), std::min<uint64_t>(left, buffer.size()));
    if (count == 0) return std::nullopt;
    hasher.update(buffer.data(), count);
    sys::write_all(copy.get(), {buffer.data(), count});
    left -= count;
  }
  return FrozenFile(std::move(copy), size, hasher.finish());
}

UniqueFd FrozenFile::open() const {
  return sys::open(fmt::format("/proc/self/fd/{}", fd_.get()), O_RDONLY);
}

}  // namespace lade
