// Names of platforms and which images run where, by the rules of containerd's platforms package.
#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <sys/utsname.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "snapshotter/content/descriptor.hpp"

namespace lade {
namespace {

constexpr auto kKnownOs = std::to_array<std::string_view>(
    {"aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "nacl",
     "linux", "netbsd", "openbsd", "plan9", "solaris", "windows", "zos"});
constexpr auto kKnownArchitectures = std::to_array<std::string_view>(
    {"386",   "amd64",   "amd64p32", "arm",    "armbe",  "arm64",    "arm64be",   "loong64",
     "ppc64", "ppc64le", "mips",     "mipsle", "mips64", "mips64le", "mips64p32", "mips64p32le",
     "ppc",   "riscv",   "riscv64",  "s390",   "s390x",  "sparc",    "sparc64",   "wasm"});

template <size_t Size>
bool contains(const std::array<std::string_view, Size>& set, std::string_view word) {
  return std::find(set.begin(), set.end(), word) != set.end();
}

/// The architecture this program was built for, in Go's words: a 32-bit lade on a 64-bit kernel
/// builds for what it is.
constexpr std::string_view host_architecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#elif defined(__i386__)
  return "386";
#elif defined(__arm__)
  return "arm";
#elif defined(__riscv) && __riscv_xlen == 64
  return "riscv64";
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return "ppc64le";
#elif defined(__s390x__)
  return "s390x";
#elif defined(__mips64) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return "mips64le";
#elif defined(__loongarch64)
  return "loong64";
#else
#error "name this architecture as Go does"
#endif
}

/// The variant of a 32-bit ARM host: uname's machine is armv6l, armv7l, or aarch64 under a 64-bit
/// kernel.
std::string host_variant() {
  if (host_architecture() != "arm") return "";
  struct utsname name = {};
  uname(&name);
  const std::string_view machine = name.machine;
  if (machine == "aarch64") return "v8";
  if (machine.size() > 4 && machine.starts_with("armv")) return "v" + std::string(1, machine[4]);
  return "v7";
}

void normalize_architecture(std::string& architecture, std::string& variant) {
  architecture = to_lower(architecture);
  variant = to_lower(variant);
  if (architecture == "i386") {
    architecture = "386";
    variant.clear();
  } else if (architecture == "x86_64" || architecture == "x86-64" || architecture == "amd64") {
    architecture = "amd64";
    if (variant == "v1") variant.clear();
  } else if (architecture == "aarch64" || architecture == "arm64") {
    architecture = "arm64";
    if (variant == "8" || variant == "v8") variant.clear();
  } else if (architecture == "armhf" || architecture == "armel") {
    variant = architecture == "armhf" ? "v7" : "v6";
    architecture = "arm";
  } else if (architecture == "arm") {
    if (variant.empty()) variant = "v7";
    if (variant.size() == 1 && variant[0] >= '5' && variant[0] <= '8') variant.insert(0, "v");
  }
}

/// "v8" is {8, 0}, "v9.2" is {9, 2}; nullopt for anything else.
struct Version {
  int major = 0;
  int minor = 0;
};
std::optional<Version> parse_variant(std::string_view variant) {
  Version version;
  if (variant.starts_with('v')) variant.remove_prefix(1);
  const char* const begin = variant.data();
  const char* const end = begin + variant.size();
  const auto [dot, error] = std::from_chars(begin, end, version.major);
  if (error != std::errc() || version.major < 0 || version.major > 99) return std::nullopt;
  if (dot == end) return version;
  if (*dot != '.') return std::nullopt;
  const auto [rest, minor_error] = std::from_chars(dot + 1, end, version.minor);
  if (minor_error != std::errc() || rest != end || version.minor < 0 || version.minor > 99) {
    return std::nullopt;
  }
  return version;
}

/// An architecture and variant whose programs run, in normalised form.
struct Candidate {
  std::string architecture;
  std::string variant;
};

void add_arm(std::vector<Candidate>& out, int newest) {
  for (int version = newest; version >= 5; --version) {
    out.push_back({"arm", fmt::format("v{}", version)});
  }
}

void add_arm64(std::vector<Candidate>& out, Version version) {
  const auto add_minors = [&](int major, int newest) {
    for (int minor = newest; minor >= 0; --minor) {
      // The base of version 8 is written without a variant once normalised.
      const std::string base = major == 8 ? "" : fmt::format("v{}", major);
      out.push_back({"arm64", minor == 0 ? base : fmt::format("v{}.{}", major, minor)});
    }
  };
  if (version.major == 9) {
    add_minors(9, version.minor - 1);
    // v9.0 grew out of v8.5, so v9.x runs what v8.(x+5) does.
    add_minors(8, version.minor + 5);
  } else {
    add_minors(version.major, version.minor - 1);
  }
  add_arm(out, 8);
}

/// What runs on `platform` (normalised), best first.
std::vector<Candidate> candidates(const Platform& platform) {
  std::vector<Candidate> out = {{platform.architecture, platform.variant}};
  const auto version = parse_variant(platform.variant);
  if (platform.architecture == "amd64") {
    for (int older = version ? version->major - 1 : 0; older >= 1; --older) {
      out.push_back({"amd64", older == 1 ? "" : fmt::format("v{}", older)});
    }
    out.push_back({"386", ""});
  } else if (platform.architecture == "arm") {
    if (version) add_arm(out, version->major - 1);
  } else if (platform.architecture == "arm64") {
    add_arm64(out, version.value_or(Version{8, 0}));
  }
  return out;
}

bool is_component(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

[[noreturn]] void invalid_platform(std::string_view text, std::string_view why) {
  throw Error(fmt::format("invalid platform {}: {}", quoted(text), why));
}

/// Splits "windows(10.0.17763+win32k)" into the os, its version and its features.
void parse_os(std::string_view text, std::string_view part, Platform& out) {
  const size_t open = part.find('(');
  if (open != std::string_view::npos) {
    if (!part.ends_with(')')) invalid_platform(text, "the os version has no closing parenthesis");
    auto options = split(part.substr(open + 1, part.size() - open - 2), '+');
    out.os_version = options.front();
    out.os_features.assign(options.begin() + 1, options.end());
    for (const auto& option : options) {
      if (!option.empty() && !is_component(option))
        invalid_platform(text, "the os version is malformed");
    }
    part = part.substr(0, open);
  }
  if (!is_component(part)) invalid_platform(text, "expected os[/architecture[/variant]]");
  out.os = std::string(part);
}

}  // namespace

Platform Platform::host() {
  Platform out;
  out.os = "linux";
  out.architecture = host_architecture();
  out.variant = host_variant();
  return out.normalized();
}

Platform Platform::normalized() const {
  Platform out = *this;
  out.os = os.empty() ? "linux" : to_lower(os);
  if (out.os == "macos") out.os = "darwin";
  normalize_architecture(out.architecture, out.variant);
  std::sort(out.os_features.begin(), out.os_features.end());
  out.os_features.erase(std::unique(out.os_features.begin(), out.os_features.end()),
                        out.os_features.end());
  return out;
}

Platform Platform::parse(std::string_view text) {
  const auto parts = split(text, '/');
  if (parts.size() > 3) invalid_platform(text, "expected os[/architecture[/variant]]");
  Platform out;
  parse_os(text, parts[0], out);
  for (size_t i = 1; i < parts.size(); ++i) {
    if (!is_component(parts[i])) invalid_platform(text, "expected os[/architecture[/variant]]");
  }
  if (parts.size() > 1) {
    out.architecture = parts[1];
    if (parts.size() > 2) out.variant = parts[2];
    return out.normalized();
  }
  // A single word is an os or an architecture; the other half is the host's.
  if (contains(kKnownOs, out.normalized().os)) {
    out.architecture = host().architecture;
    out.variant = host().variant;
    return out.normalized();
  }
  out.architecture = parts[0];
  out.os = "linux";
  out = out.normalized();
  if (!contains(kKnownArchitectures, out.architecture)) {
    invalid_platform(text, "unknown operating system or architecture");
  }
  return out;
}

std::string Platform::str() const {
  std::string out = os.empty() ? "unknown" : os;
  if (!architecture.empty()) out += "/" + architecture;
  if (!variant.empty()) out += "/" + variant;
  return out;
}

std::optional<size_t> Platform::rank(const Platform& other) const {
  const Platform host = normalized();
  const Platform image = other.normalized();
  if (host.os != image.os) return std::nullopt;
  // Windows images name features that every Windows has.
  if (host.os != "windows" && !std::includes(host.os_features.begin(), host.os_features.end(),
                                             image.os_features.begin(), image.os_features.end())) {
    return std::nullopt;
  }
  const auto ranked = candidates(host);
  for (size_t i = 0; i < ranked.size(); ++i) {
    if (ranked[i].architecture == image.architecture && ranked[i].variant == image.variant) {
      return i;
    }
  }
  return std::nullopt;
}

}  // namespace lade
