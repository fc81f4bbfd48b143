#include "base/abrupt_end.hpp"

#include <mutex>
#include <set>
#include <utility>

#include <unistd.h>

namespace lade {
namespace {

struct Registry {
  std::mutex mutex;
  std::multiset<std::string> paths;
};

Registry& registry() {
  // Never destroyed: another thread may end the process while this one leaves main.
  static Registry* const instance = new Registry;
  return *instance;
}

}  // namespace

TemporaryAtRisk::TemporaryAtRisk(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  const std::lock_guard lock(registry().mutex);
  registry().paths.insert(path_);
}

TemporaryAtRisk::TemporaryAtRisk(TemporaryAtRisk&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

TemporaryAtRisk::~TemporaryAtRisk() {
  if (path_.empty()) return;
  const std::lock_guard lock(registry().mutex);
  const auto found = registry().paths.find(path_);
  if (found != registry().paths.end()) registry().paths.erase(found);
}

void end_abruptly(int code) {
  // Held to the end, so that nobody makes or renames one of them in between.
  registry().mutex.lock();
  for (const auto& path : registry().paths) ::unlink(path.c_str());
  ::_exit(code);
}

}  // namespace lade
