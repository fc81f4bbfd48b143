#include "base/temp_dir.hpp"

#include <utility>

#include <sys/stat.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/sys.hpp"

namespace lade {

TempDir TempDir::create(const std::string& parent, const std::string& prefix) {
  TempDir dir;
  const std::string path = parent + "/" + prefix + sys::random_hex(6);
  sys::mkdirat(AT_FDCWD, path, 0700);
  dir.path_ = path;
  return dir;
}

TempDir::TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

TempDir::~TempDir() {
  if (path_.empty()) return;
  try {
    const size_t slash = path_.rfind('/');
    const UniqueFd parent =
        sys::open(slash == 0 ? "/" : path_.substr(0, slash), O_RDONLY | O_DIRECTORY);
    sys::remove_tree(parent.get(), path_.substr(slash + 1));
  } catch (const Error&) {
    // Left for the next start's sweep of the state directory; a destructor has nobody to tell.
  }
}

}  // namespace lade
