#include "base/file_lock.hpp"

#include <cerrno>
#include <string>

#include <sys/file.h>

#include "base/error.hpp"

namespace lade {

void lock_file(int fd, int operation, std::string_view what) {
  while (::flock(fd, operation) != 0) {
    if (errno != EINTR) throw_errno("could not lock " + std::string(what));
  }
}

}  // namespace lade
