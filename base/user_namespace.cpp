#include "base/user_namespace.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

bool is_first_map(const std::string& map) {
  std::string words;
  for (const auto& word : split(map, ' ')) {
    if (const auto text = trim(word); !text.empty()) words.append(text).append(" ");
  }
  return words == "0 0 4294967295 ";
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = failed == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

/// One of the two maps of a namespace.
struct IdMap {
  const char* program;  // of package uidmap; setuid root, or with a file capability
  uint64_t own;
  std::vector<IdRange> others;
};

struct Maps {
  IdMap users;
  IdMap groups;
  /// Without both, neither would be of use: what belongs to a user belongs to a group as well.
  bool is_single() const { return users.others.empty() || groups.others.empty(); }
};

std::string user_name(uid_t uid) {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
  return found ? found->pw_name : std::string();
}

Maps wanted_maps() {
  const uid_t uid = ::getuid();
  const std::string name = user_name(uid);
  const auto granted = [&](const char* file) {
    return subordinate_ids(sys::read_file(file).value_or(""), name, uid);
  };
  return {{"newuidmap", uid, granted("/etc/subuid")},
          {"newgidmap", ::getgid(), granted("/etc/subgid")}};
}

std::vector<std::string> arguments(const IdMap& map, pid_t pid) {
  std::vector<std::string> out = {map.program, std::to_string(pid), "0", std::to_string(map.own),
                                  "1"};
  uint64_t next = 1;
  for (const IdRange& range : map.others) {
    for (const uint64_t value : {next, range.first, range.count}) {
      out.push_back(std::to_string(value));
    }
    next += range.count;
  }
  return out;
}

[[noreturn]] void execute(const std::vector<std::string>& words, int errors) {
  ::dup2(errors, STDERR_FILENO);
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::dprintf(STDERR_FILENO, "could not run %s: %s", argv[0], std::strerror(errno));
  ::_exit(127);
}

/// Writes the maps of another process from outside its namespace, both at once. It says what went
/// wrong on `errors`, which the other end reads to its end.
class Mapper {
 public:
  explicit Mapper(const Maps& maps) : go_(sys::pipe()), errors_(sys::pipe()) {
    const pid_t process = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw_errno("could not start newuidmap");
    if (pid_ != 0) {
      go_.read.reset();
      errors_.write.reset();
      return;
    }
    go_.write.reset();
    char byte = 0;
    if (::read(go_.read.get(), &byte, 1) != 1) ::_exit(0);  // there is no namespace
    const pid_t groups = ::fork();
    if (groups == 0) execute(arguments(maps.groups, process), errors_.write.get());
    const pid_t users = ::fork();
    if (users == 0) execute(arguments(maps.users, process), errors_.write.get());
    bool failed = false;
    for (const pid_t one : {groups, users}) {
      int status = 0;
      while (::waitpid(one, &status, 0) < 0 && errno == EINTR) {
      }
      failed |= one < 0 || status != 0;
    }
    ::_exit(failed ? 1 : 0);
  }
  Mapper(const Mapper&) = delete;
  Mapper& operator=(const Mapper&) = delete;
  ~Mapper() {
    go_.write.reset();
    wait();
  }

  /// Once the namespace is there. Throws Error.
  void run() {
    sys::write_all(go_.write.get(), "1");
    std::string said;
    std::array<char, 1024> chunk{};
    for (;;) {
      const ssize_t size = ::read(errors_.read.get(), chunk.data(), chunk.size());
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) break;
      said.append(chunk.data(), static_cast<size_t>(size));
    }
    if (wait() == 0) return;
    Error error("could not map the subordinate ids of this user: " +
                (said.empty() ? "newuidmap or newgidmap failed" : std::string(trim(said))));
    error.set_hint(
        "install the package uidmap, and check this user's lines in /etc/subuid and /etc/subgid");
    throw error;
  }

 private:
  int wait() {
    int status = 0;
    if (pid_ > 0) {
      while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
      }
    }
    pid_ = -1;
    return status;
  }

  sys::Pipe go_;
  sys::Pipe errors_;
  pid_t pid_ = -1;
};

void write_own_map(const char* file, uint64_t id) {
  const UniqueFd out = sys::open(file, O_WRONLY);
  sys::write_all(out.get(), fmt::format("0 {} 1\n", id));
}

bool setting_is(const char* file, std::string_view value) {
  const auto text = sys::read_file(file);
  return text && trim(*text) == value;
}

/// Why an ordinary user gets no namespaces, as far as the machine says.
std::string refusal_hint() {
  if (setting_is("/proc/sys/kernel/unprivileged_userns_clone", "0")) {
    return "allow them with: sysctl kernel.unprivileged_userns_clone=1, or run lade as root";
  }
  if (setting_is("/proc/sys/user/max_user_namespaces", "0")) {
    return "allow them with: sysctl user.max_user_namespaces=10000, or run lade as root";
  }
  if (setting_is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1")) {
    return "AppArmor allows them only to programs that have a profile with 'userns,': give lade "
           "one, "
           "or: sysctl kernel.apparmor_restrict_unprivileged_userns=0";
  }
  return "containers often deny them (seccomp, no privileges): run lade as root, or where user "
         "namespaces are allowed";
}

[[noreturn]] void refuse(const char* what) {
  Error error = Error::from_errno(errno, what);
  error.set_hint(refusal_hint());
  throw error;
}

}  // namespace

bool in_user_namespace() {
  static const bool answer = [] {
    const auto map = sys::read_file("/proc/self/uid_map");
    return map && !is_first_map(*map);  // nullopt: a kernel without user namespaces
  }();
  return answer;
}

std::string unmapped_owner_hint(int err) {
  if ((err != EINVAL && err != EPERM) || !in_user_namespace()) return {};
  return "this user has no subordinate id for that owner: install the package uidmap, and as root "
         "run 'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER' (a range that "
         "nobody else has)";
}

void throw_owner_error(const std::string& path) {
  const int err = errno;
  Error error = Error::from_errno(err, "could not set the owner of " + quoted(path));
  error.set_hint(unmapped_owner_hint(err));
  throw error;
}

std::vector<IdRange> subordinate_ids(std::string_view file, const std::string& user, uint64_t uid) {
  std::vector<IdRange> out;
  uint64_t mapped = 1;
  for (const auto& line : split(file, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() != 3) continue;
    const bool is_named = !user.empty() && fields[0] == user;
    if (!is_named && fields[0] != std::to_string(uid)) continue;
    const auto first = number(trim(fields[1]));
    const auto count = number(trim(fields[2]));
    // Ids have 32 bits, and the last one means none.
    if (!first || !count || *count == 0 || *first > UINT32_MAX - *count) continue;
    if (*count > UINT32_MAX - mapped) continue;
    mapped += *count;
    out.push_back({*first, *count});
  }
  return out;
}

void become_root_of_namespace() {
  const Maps maps = wanted_maps();
  std::optional<Mapper> mapper;
  if (!maps.is_single()) mapper.emplace(maps);
  if (::unshare(CLONE_NEWUSER) != 0) refuse("could not make a user namespace");
  if (mapper) {
    mapper->run();
  } else {
    const UniqueFd setgroups = sys::open("/proc/self/setgroups", O_WRONLY);
    sys::write_all(setgroups.get(), "deny\n");  // else no group can be mapped (user_namespaces(7))
    write_own_map("/proc/self/uid_map", maps.users.own);
    write_own_map("/proc/self/gid_map", maps.groups.own);
  }
  // The mounts there were cannot be changed from here: these are copies that can.
  if (::unshare(CLONE_NEWNS) != 0) refuse("could not make a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    throw_errno("could not make the mounts this process's own");
  }
}

}  // namespace lade
