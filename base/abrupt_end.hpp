// Ending the process at once, from any thread, without leaving half-written files where the user
// looks, or large ones. What else lade keeps in its own state directory needs none of this: it is
// swept by the next build.
#pragma once

#include <string>

namespace lade {

/// While it lives, `path` is a temporary file that an abrupt end removes.
class TemporaryAtRisk {
 public:
  explicit TemporaryAtRisk(std::string path);
  TemporaryAtRisk(TemporaryAtRisk&& other) noexcept;
  TemporaryAtRisk& operator=(TemporaryAtRisk&&) = delete;
  ~TemporaryAtRisk();

 private:
  std::string path_;
};

/// Removes the temporaries at risk and ends with `code`; no destructor runs.
[[noreturn]] void end_abruptly(int code);

}  // namespace lade
