#include "solver/executor/child/command.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace lade::sandbox {
namespace {

constexpr int not_found = 127;
constexpr int not_executable = 126;

CommandError command_error(const std::string& name, std::string_view reason, int exit_code) {
  return {fmt::format("exec: \"{}\": {}", name, reason), exit_code};
}

bool is_executable_file(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

std::string find_in_path(const std::string& name, const std::vector<std::string>& env) {
  for (const auto& variable : env) {
    if (!variable.starts_with("PATH=")) continue;
    for (const auto& dir : split(std::string_view(variable).substr(5), ':')) {
      std::string candidate = dir.empty() ? "./" + name : dir + "/" + name;
      if (is_executable_file(candidate)) return candidate;
    }
    break;
  }
  throw command_error(name, "executable file not found in $PATH", not_found);
}

/// The first bytes of a file; empty if it cannot be read.
std::string file_start(const std::string& path) {
  std::array<char, 256> bytes{};
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t size = file ? ::read(file.get(), bytes.data(), bytes.size()) : 0;
  return {bytes.data(), size > 0 ? static_cast<size_t>(size) : 0};
}

/// The kernel says ENOENT for a command that is there when what should load it is not.
CommandError missing_loader(const std::string& name, const std::string& path) {
  const std::string start = file_start(path);
  if (start.starts_with("#!")) {
    const auto line = std::string_view(start).substr(2, start.find('\n') - 2);
    const auto text = line.substr(std::min(line.find_first_not_of(" \t"), line.size()));
    const auto interpreter = text.substr(0, text.find_first_of(" \t"));
    if (interpreter.ends_with('\r')) {
      return command_error(
          name, "its first line ends in a carriage return; save the script with Unix line ends",
          not_found);
    }
    return command_error(
        name, fmt::format("its interpreter {} does not exist", quoted(interpreter)), not_found);
  }
  return command_error(name, "the dynamic loader it was linked for does not exist", not_found);
}

CommandError explain(const std::string& name, const std::string& path, int err) {
  struct stat info{};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (err == ENOENT && exists) return missing_loader(name, path);
  if (exists && S_ISDIR(info.st_mode)) return command_error(name, "is a directory", not_executable);
  switch (err) {
    case ENOENT:
    case ENOTDIR:
      return command_error(name, fmt::format("stat {}: no such file or directory", path),
                           not_found);
    case EACCES:
      return command_error(name, "permission denied", not_executable);
    case ENOEXEC:
      return command_error(
          name, "exec format error (a binary of another platform, or a script without #! line)",
          not_executable);
    default:
      return command_error(name, std::strerror(err), not_executable);
  }
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const auto& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

}  // namespace

void execute_command(const std::vector<std::string>& args, const std::vector<std::string>& env) {
  if (args.empty() || args[0].empty()) throw CommandError("exec: no command", not_found);
  const std::string& name = args[0];
  const std::string path = name.find('/') == std::string::npos ? find_in_path(name, env) : name;
  const auto argv = pointers(args);
  const auto envp = pointers(env);
  ::execve(path.c_str(), argv.data(), envp.data());
  throw explain(name, path, errno);
}

}  // namespace lade::sandbox
