// What the times of a filesystem's files can tell. A stat cache believes that a file is what it was
// while its stamp is, which takes that every change gives another stamp: so a file's change time
// must be its own, older than any that a change from now on could get, and no other filesystem may
// stand in the place of this one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lade {

struct Filesystem {
  /// Names what is mounted, also in later builds. 0: nothing of it may be remembered.
  uint64_t identity = 0;
  /// Times come from this kernel's clock, not a server's.
  bool has_own_clock = true;
  /// What is called change time may be a copy of the modification time, which anybody can set.
  bool is_doubtful = false;
  /// No file can change, whatever its times are.
  bool is_frozen = false;

  /// Of what the descriptor (O_PATH will do) is on. Does not throw: what cannot be found out is not
  /// remembered.
  static Filesystem of(int fd);
};

/// The time that this kernel would stamp a file with now, whatever clock this process is shown.
int64_t stamp_clock_ns();
/// Since the machine started, sleep included: nobody sets it.
int64_t uptime_ns();
/// Another one after each start of the machine.
const std::string& boot_id();

/// What is known of the clock that a filesystem elsewhere stamps files with: when this machine had
/// been up for `uptime_ns` it showed `stamp_ns` or more.
struct ServerClock {
  int64_t stamp_ns = 0;
  int64_t uptime_ns = 0;

  /// What it shows at least later on. Clocks do not go equally fast.
  int64_t at_least(int64_t later_uptime_ns) const;
};

}  // namespace lade
