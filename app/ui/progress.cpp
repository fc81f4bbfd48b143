#include "app/ui/progress.hpp"

#include <stdexcept>

#include <fmt/format.h>
#include <unistd.h>

#include "app/ui/json_progress.hpp"
#include "base/error.hpp"
#include "base/shown_text.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string size_text(uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{}B", bytes);
  if (bytes < 1000 * 1000) return fmt::format("{:.2f}kB", static_cast<double>(bytes) / 1e3);
  if (bytes < 1000 * 1000 * 1000) return fmt::format("{:.2f}MB", static_cast<double>(bytes) / 1e6);
  return fmt::format("{:.2f}GB", static_cast<double>(bytes) / 1e9);
}

void write_line(int fd, const std::string& text) {
  try {
    sys::write_all(fd, text);
  } catch (const Error&) {
    // Nobody reads any more; the build goes on.
  }
}

constexpr auto kStatusInterval = std::chrono::seconds(1);

}  // namespace

PlainProgress::PlainProgress(int fd) : fd_(fd), terminal_(::isatty(fd) != 0) {}

void PlainProgress::print(const std::string& text) {
  write_line(fd_, terminal_ ? for_terminal(text) : text);
}

PlainProgress::State& PlainProgress::shown(VertexNumber vertex) {
  State& state = states_[vertex];
  if (state.shown_as == 0) {
    state.shown_as = next_++;
    state.started = Clock::now();
    print(fmt::format("\n#{} {}\n", state.shown_as, state.name));
  }
  return state;
}

/// A line of a step's output. On a terminal a bar is the line that it ends as.
std::string PlainProgress::output_line(const State& state, std::string_view line) const {
  return fmt::format("#{} {:.3f} {}\n", state.shown_as, seconds_since(state.started),
                     terminal_ ? last_state(line) : line);
}

void PlainProgress::flush_partial(State& state) {
  for (auto& partial : state.partial) {
    if (partial.empty()) continue;
    print(output_line(state, partial));
    partial.clear();
  }
}

void PlainProgress::finish(VertexNumber vertex, const std::string& text) {
  const std::lock_guard lock(mutex_);
  State& state = shown(vertex);
  flush_partial(state);
  print(fmt::format("#{} {}\n", state.shown_as, text));
}

void PlainProgress::declared(VertexNumber vertex, std::string_view name) {
  const std::lock_guard lock(mutex_);
  states_[vertex].name = elided(name);
}

void PlainProgress::started(VertexNumber vertex) {
  const std::lock_guard lock(mutex_);
  shown(vertex);
}

void PlainProgress::cached(VertexNumber vertex) {
  finish(vertex, "CACHED");
}

void PlainProgress::completed(VertexNumber vertex) {
  double seconds = 0;
  {
    const std::lock_guard lock(mutex_);
    seconds = seconds_since(shown(vertex).started);
  }
  finish(vertex, fmt::format("DONE {:.1f}s", seconds));
}

void PlainProgress::failed(VertexNumber vertex, std::string_view message) {
  finish(vertex, "ERROR: " + elided(message));
}

void PlainProgress::canceled(VertexNumber vertex) {
  finish(vertex, "CANCELED");
}

void PlainProgress::log(VertexNumber vertex, LogStream stream, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  State& state = shown(vertex);
  std::string& partial = state.partial[stream == LogStream::err];
  std::string out;
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    partial += bytes.substr(0, end);
    if (end == std::string_view::npos) break;
    bytes.remove_prefix(end + 1);
    if (partial.ends_with('\r')) partial.pop_back();
    out += output_line(state, partial);
    partial.clear();
  }
  if (!out.empty()) print(out);
  // A "line" that never ends must not grow without bound.
  constexpr size_t kLongestLine = 64 * 1024;
  if (partial.size() > kLongestLine) flush_partial(state);
}

void PlainProgress::status(VertexNumber vertex, std::string_view item, uint64_t current,
                           uint64_t total) {
  const std::lock_guard lock(mutex_);
  State& state = shown(vertex);
  const auto [position, fresh] = state.items.try_emplace(std::string(item));
  Item& known = position->second;
  const bool complete = total > 0 && current >= total;
  if (known.complete) return;
  if (!fresh && !complete && Clock::now() - known.shown < kStatusInterval) return;
  known.shown = Clock::now();
  known.complete = complete;
  if (total == 0) {
    print(fmt::format("#{} {}\n", state.shown_as, item));
  } else {
    print(fmt::format("#{} {} {} / {}{}\n", state.shown_as, item, size_text(current),
                      size_text(total), complete ? " done" : ""));
  }
}

void PlainProgress::warning(std::string_view message) {
  const std::lock_guard lock(mutex_);
  print(fmt::format("\nWARNING: {}\n", elided(message)));
}

void QuietProgress::warning(std::string_view message) {
  write_line(fd_, shown_on(fd_, fmt::format("WARNING: {}\n", elided(message))));
}

ProgressMode parse_progress(const std::string& text) {
  if (text == "auto" || text == "plain" || text == "tty") return ProgressMode::plain;
  if (text == "quiet") return ProgressMode::quiet;
  if (text == "none") return ProgressMode::none;
  if (text == "rawjson") return ProgressMode::rawjson;
  throw Error(fmt::format("{} is not one of: auto, plain, tty, quiet, none, rawjson", quoted(text)),
              ErrorKind::usage);
}

std::unique_ptr<ProgressSink> make_progress(ProgressMode mode) {
  switch (mode) {
    case ProgressMode::plain:
      return std::make_unique<PlainProgress>(STDERR_FILENO);
    case ProgressMode::quiet:
      return std::make_unique<QuietProgress>(STDERR_FILENO);
    case ProgressMode::none:
      return std::make_unique<NullProgress>();
    case ProgressMode::rawjson:
      return std::make_unique<JsonProgress>(STDERR_FILENO);
  }
  throw std::logic_error("no such mode of progress");
}

}  // namespace lade
