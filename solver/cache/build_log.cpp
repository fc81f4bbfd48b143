#include "solver/cache/build_log.hpp"

#include <cerrno>
#include <cstdio>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/wire.hpp"

namespace lade {
namespace {

constexpr std::string_view kFormat = "lade build log 2";
/// Without last lines.
constexpr std::string_view kOldFormat = "lade build log 1";
constexpr uint64_t kMaxLog = 64u << 20;
constexpr std::string_view kLast = ".last";

std::optional<BuildLog> read_log(const std::string& path) {
  const auto bytes = sys::read_file(path, kMaxLog);
  if (!bytes) return std::nullopt;
  try {
    return BuildLog::parse(*bytes);
  } catch (const Error&) {
    return std::nullopt;  // of another lade, or torn by a power-off: nothing depends on it
  }
}

}  // namespace

std::string BuildLog::serialize() const {
  WireWriter writer;
  writer.text(kFormat).text(dockerfile);
  writer.list(steps, [](WireWriter& out, const StepLog& step) {
    out.text(step.name).number(step.line).number(step.last_line);
    out.number(static_cast<uint8_t>(step.outcome));
    out.number(static_cast<uint8_t>(step.forced)).digest(step.op).digest(step.record);
    out.text(step.source);
    out.list(step.inputs, [](WireWriter& each, uint32_t input) { each.number(input); });
  });
  return writer.take();
}

BuildLog BuildLog::parse(std::string_view bytes) {
  WireReader reader(bytes);
  const std::string_view format = reader.text();
  if (format != kFormat && format != kOldFormat) {
    throw Error("not a build log", ErrorKind::corrupt);
  }
  BuildLog log;
  log.dockerfile = reader.text();
  for (size_t left = reader.count(); left > 0; --left) {
    StepLog step;
    step.name = reader.text();
    step.line = reader.number<int>();
    step.last_line = format == kOldFormat ? step.line : reader.number<int>();
    step.outcome = static_cast<StepOutcome>(reader.number<uint8_t>());
    step.forced = reader.number<uint8_t>() != 0;
    step.op = reader.digest();
    step.record = reader.digest();
    step.source = reader.text();
    for (size_t inputs = reader.count(); inputs > 0; --inputs) {
      step.inputs.push_back(reader.number<uint32_t>());
      if (step.inputs.back() >= log.steps.size()) {
        throw Error("build log: a step reads a later one", ErrorKind::corrupt);
      }
    }
    log.steps.push_back(std::move(step));
  }
  return log;
}

void keep_build_log(const std::string& state_root, const std::string& identity,
                    const BuildLog& log) {
  const std::string path = state_root + "/builds/" + Digest::of(identity).hex().substr(0, 16);
  const std::string last = path + std::string(kLast);
  const std::string bytes = log.serialize();
  const auto present = sys::read_file(last, kMaxLog);
  if (present == bytes) {
    ::utimensat(AT_FDCWD, last.c_str(), nullptr, 0);
    return;
  }
  if (present) {
    ::rename(last.c_str(), (path + ".before").c_str());
  } else {
    sys::make_dirs(state_root + "/builds", 0700);
  }
  sys::write_file_atomically(last, bytes);
}

std::optional<KeptLogs> last_build_logs(const std::string& state_root) {
  const std::string directory = state_root + "/builds";
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  if (!dir) return std::nullopt;
  std::string newest;
  timespec time{};
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (!name.ends_with(kLast)) continue;
    const auto stat = sys::lstatat(AT_FDCWD, directory + "/" + name);
    if (!stat) continue;
    const timespec& theirs = stat->st_mtim;
    if (newest.empty() ||
        std::pair(theirs.tv_sec, theirs.tv_nsec) > std::pair(time.tv_sec, time.tv_nsec)) {
      newest = directory + "/" + name;
      time = theirs;
    }
  }
  if (newest.empty()) return std::nullopt;
  auto last = read_log(newest);
  if (!last) return std::nullopt;
  newest.resize(newest.size() - kLast.size());
  return KeptLogs{std::move(*last), read_log(newest + ".before")};
}

}  // namespace lade
