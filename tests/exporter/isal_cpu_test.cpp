// ISA-L chooses its code by CPUID. This test runs the same compression in processes in which CPUID
// lies (CPUID faulting: the instruction traps, the handler answers with features taken away) and
// compares the bytes.
#include <gtest/gtest.h>

#if defined(__x86_64__)

#include <array>
#include <csignal>
#include <cstring>
#include <random>
#include <string>

#include <cpuid.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "exporter/compressors.hpp"

namespace lade {
namespace {

constexpr long kArchSetCpuid = 0x1012;  // ARCH_SET_CPUID of asm/prctl.h
constexpr char kVariable[] = "LADE_TEST_CPU";

struct Mask {
  const char* name;
  uint32_t leaf1_ecx;  // bits taken away
  uint32_t leaf7_ebx;
};

constexpr uint32_t kSse42 = 1u << 20;
constexpr uint32_t kAvx = 1u << 28;
constexpr uint32_t kAvx2 = 1u << 5;
constexpr uint32_t kAvx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
constexpr std::array kMasks = {
    Mask{"all", 0, 0},
    Mask{"avx2", 0, kAvx512},
    Mask{"avx", 0, kAvx512 | kAvx2},
    Mask{"sse42", kAvx, kAvx512 | kAvx2},
};
// Not a CPU that lade would use ISA-L on: shows that the masks have an effect at all.
constexpr Mask kPortable{"portable", kAvx | kSse42, kAvx512 | kAvx2};

Mask active_mask;

void answer_cpuid(int, siginfo_t*, void* context) {
  auto* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto* code = reinterpret_cast<const uint8_t*>(registers[REG_RIP]);
  if (code[0] != 0x0f || code[1] != 0xa2) _exit(99);
  const auto leaf = static_cast<uint32_t>(registers[REG_RAX]);
  const auto subleaf = static_cast<uint32_t>(registers[REG_RCX]);
  uint32_t a = 0, b = 0, c = 0, d = 0;
  ::syscall(SYS_arch_prctl, kArchSetCpuid, 1);
  __cpuid_count(leaf, subleaf, a, b, c, d);
  ::syscall(SYS_arch_prctl, kArchSetCpuid, 0);
  if (leaf == 1) c &= ~active_mask.leaf1_ecx;
  if (leaf == 7 && subleaf == 0) b &= ~active_mask.leaf7_ebx;
  registers[REG_RAX] = a;
  registers[REG_RBX] = b;
  registers[REG_RCX] = c;
  registers[REG_RDX] = d;
  registers[REG_RIP] += 2;
}

bool lie_about_cpu(const Mask& mask) {
  active_mask = mask;
  struct sigaction action{};
  action.sa_sigaction = answer_cpuid;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
  return ::syscall(SYS_arch_prctl, kArchSetCpuid, 0) == 0;
}

// Text, tables and noise, so that all of the encoder's decisions are met.
std::string corpus() {
  std::mt19937 random(3);
  std::string out;
  while (out.size() < 3u << 20) {
    const uint32_t kind = random() % 4;
    for (int i = 0; i < 2000; ++i) {
      if (kind == 0) out += static_cast<char>(random());
      if (kind == 1) out += static_cast<char>('a' + random() % 5);
      if (kind == 2) out += "lib/x86_64-linux-gnu/" + std::to_string(random() % 50) + "\n";
      if (kind == 3) out += '\0';
    }
  }
  return out;
}

// What the child prints: digests of the compressed corpus, of both ISA-L levels. The trap is
// per thread, but those made later, oneTBB's among them, inherit it.
std::string digests() {
  std::string out;
  for (const int level : {1, 2}) {
    StringSink sink;
    const auto compressor = make_compressor({.type = LayerCompression::gzip, .level = level}, sink);
    compressor->write(corpus());
    compressor->finish();
    out += Digest::of(sink.take()).hex() + "\n";
  }
  return out;
}

std::string run_child(const char* mask) {
  sys::Pipe pipe = sys::pipe();
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(pipe.write.get(), 3);
    dup2(sys::open("/dev/null", O_WRONLY).get(), STDOUT_FILENO);
    setenv(kVariable, mask, 1);
    execl("/proc/self/exe", "test", "--gtest_filter=IsalCpu.DISABLED_Child",
          "--gtest_also_run_disabled_tests", nullptr);
    _exit(127);
  }
  pipe.write.reset();
  FdSource source(std::move(pipe.read));
  std::string out = read_all(source, 1 << 16, "child's output");
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0) << mask;
  return out;
}

TEST(IsalCpu, DISABLED_Child) {
  const char* wanted = getenv(kVariable);
  if (wanted == nullptr) GTEST_SKIP() << "runs as the child of SameBytesOnEveryCpu";
  Mask chosen = kPortable;
  for (const Mask& mask : kMasks) {
    if (mask.name == std::string_view(wanted)) chosen = mask;
  }
  ASSERT_TRUE(lie_about_cpu(chosen));
  sys::write_all(3, digests());
}

TEST(IsalCpu, SameBytesOnEveryCpu) {
  if (!__builtin_cpu_supports("sse4.2")) GTEST_SKIP() << "needs a CPU with SSE4.2";
  if (::syscall(SYS_arch_prctl, kArchSetCpuid, 1) != 0) {
    GTEST_SKIP() << "this CPU or kernel has no CPUID faulting";
  }
  const std::string expected = run_child("all");
  ASSERT_EQ(expected.size(), 2 * 65u);
  for (const Mask& mask : kMasks) EXPECT_EQ(run_child(mask.name), expected) << mask.name;
  EXPECT_NE(run_child(kPortable.name), expected);
}

}  // namespace
}  // namespace lade

#endif
