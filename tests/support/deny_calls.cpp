// deny_calls ERROR CALL[,CALL...] COMMAND...: runs COMMAND, for which these system calls fail with
// ERROR (a name, as ENOSYS): on an older kernel, or in a container whose filter denies them.
// "since:NUMBER" as a CALL stands for all from that number on; 441 is the first one that Linux 5.10
// lacks. Needs root.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <seccomp.h>
#include <unistd.h>

namespace {

constexpr std::string_view since = "since:";
constexpr int numbers_end = 600;  // beyond what any kernel has

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "deny_calls: %s: %s\n", what.c_str(), std::strerror(errno));
  std::_Exit(125);
}

int parse_error(const std::string& name) {
  constexpr std::array<std::pair<const char*, int>, 2> errors = {
      {{"ENOSYS", ENOSYS}, {"EPERM", EPERM}}};
  for (const auto& [known, number] : errors) {
    if (name == known) return number;
  }
  errno = EINVAL;
  die(name);
}

void deny(scmp_filter_ctx filter, uint32_t action, const std::string& call) {
  if (call.starts_with(since)) {
    for (int number = std::stoi(call.substr(since.size())); number < numbers_end; ++number) {
      if (seccomp_rule_add(filter, action, number, 0) != 0) die(call);
    }
    return;
  }
  const int number = seccomp_syscall_resolve_name(call.c_str());
  if (number < 0) {
    errno = EINVAL;
    die(call);
  }
  if (seccomp_rule_add(filter, action, number, 0) != 0) die(call);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: deny_calls ERROR CALL[,CALL...] COMMAND...\n");
    return 125;
  }
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (!filter) die("seccomp_init");
  // set-user-ID programs are to work, and those of other instruction sets.
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
  seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
  const uint32_t action = SCMP_ACT_ERRNO(static_cast<uint32_t>(parse_error(argv[1])));
  const std::string calls = argv[2];
  for (size_t at = 0; at <= calls.size();) {
    const size_t end = std::min(calls.find(',', at), calls.size());
    deny(filter, action, calls.substr(at, end - at));
    at = end + 1;
  }
  if (seccomp_load(filter) != 0) die("seccomp_load");
  seccomp_release(filter);
  ::execvp(argv[3], argv + 3);
  die(argv[3]);
}
