// kill_at N CALL[,CALL...] REPORT COMMAND...: runs COMMAND and ends it with SIGKILL the moment it,
// or any process that it started, is about to make the Nth of these system calls; what it started
// goes on as it then will. N = 0 lets everything happen. REPORT gets a line: how many of the calls
// were made up to the kill (or the end), whether it was killed, and at which call. The exit code is
// COMMAND's (137 if it was killed). CALL may be "creat": whatever may make a file while it opens
// it.
//
// Exits when the last process that COMMAND started has ended.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/call_tracer.hpp"

namespace {

class Killer : public lade::test::CallTracer {
 public:
  Killer(const std::string& calls, long target) : CallTracer(calls), target_(target) {}

  void report(const char* path) const {
    FILE* out = std::fopen(path, "w");
    if (!out) lade::test::die(path);
    std::fprintf(out, "%ld %s %s\n", count_, killed_ ? "killed" : "ended", call_.c_str());
    std::fclose(out);
  }

 private:
  void seen(const lade::test::TracedCall& call) override {
    if (killed_) return;
    if (++count_ != target_) return;
    call_ = call.name();
    killed_ = true;
    ::kill(root(), SIGKILL);
  }

  long target_;
  long count_ = 0;
  std::string call_ = "-";
  bool killed_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: kill_at N CALL[,CALL...] REPORT COMMAND...\n");
    return 2;
  }
  Killer killer(argv[2], std::strtol(argv[1], nullptr, 10));
  const int code = killer.run(argv + 4);
  killer.report(argv[3]);
  return code;
}
