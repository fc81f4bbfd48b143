#include "app/ui/json_progress.hpp"

#include <fmt/format.h>

#include "base/base64.hpp"
#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/json/json_writer.hpp"
#include "base/sys.hpp"
#include "snapshotter/content/image_config.hpp"

namespace lade {
namespace {

/// Opens the object of a line and the one entry of its list.
JsonWriter begin_line(std::string_view list) {
  JsonWriter line;
  line.begin_object().key(list).begin_array().begin_object();
  return line;
}

}  // namespace

void JsonProgress::print(JsonWriter& line) {
  line.end_object().end_array().end_object();
  try {
    sys::write_all(fd_, line.take() + "\n");
  } catch (const Error&) {
    // Nobody reads any more; the build goes on.
  }
}

JsonProgress::State& JsonProgress::state(VertexNumber vertex) {
  State& state = states_[vertex];
  if (state.digest.empty()) {
    state.digest = Digest::of(fmt::format("{} {}", vertex, state.name)).str();
  }
  return state;
}

void JsonProgress::show(VertexNumber vertex, Ending ending, std::string_view error) {
  const std::lock_guard lock(mutex_);
  State& at = state(vertex);
  const std::string now = Timestamp::now().str();
  if (at.started.empty()) at.started = now;
  JsonWriter line = begin_line("vertexes");
  line.member("digest", at.digest).member("name", at.name).member("started", at.started);
  if (ending != Ending::none) line.member("completed", now);
  if (ending == Ending::cached) line.member("cached", true);
  if (!error.empty()) line.member("error", error);
  print(line);
}

void JsonProgress::declared(VertexNumber vertex, std::string_view name) {
  const std::lock_guard lock(mutex_);
  states_[vertex].name = name;
  JsonWriter line = begin_line("vertexes");
  line.member("digest", state(vertex).digest).member("name", name);
  print(line);
}

void JsonProgress::started(VertexNumber vertex) {
  show(vertex, Ending::none, {});
}

void JsonProgress::cached(VertexNumber vertex) {
  show(vertex, Ending::cached, {});
}

void JsonProgress::completed(VertexNumber vertex) {
  show(vertex, Ending::done, {});
}

void JsonProgress::failed(VertexNumber vertex, std::string_view message) {
  show(vertex, Ending::done, message);
}

void JsonProgress::canceled(VertexNumber vertex) {
  show(vertex, Ending::done, "context canceled");
}

void JsonProgress::log(VertexNumber vertex, LogStream stream, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  JsonWriter line = begin_line("logs");
  line.member("vertex", state(vertex).digest)
      .member("stream", int64_t{stream == LogStream::err ? 2 : 1})
      .member("data", base64(bytes))
      .member("timestamp", Timestamp::now().str());
  print(line);
}

void JsonProgress::status(VertexNumber vertex, std::string_view item, uint64_t current,
                          uint64_t total) {
  const std::lock_guard lock(mutex_);
  State& at = state(vertex);
  const std::string now = Timestamp::now().str();
  const auto& first = at.items.try_emplace(std::string(item), now).first->second;
  JsonWriter line = begin_line("statuses");
  line.member("id", item).member("vertex", at.digest);
  if (total > 0) line.member("total", total);
  line.member("current", current).member("timestamp", now).member("started", first);
  if (current >= total) line.member("completed", now);
  print(line);
}

void JsonProgress::warning(std::string_view message) {
  const std::lock_guard lock(mutex_);
  JsonWriter line = begin_line("warnings");
  line.member("level", int64_t{1}).member("short", base64(message));
  print(line);
}

}  // namespace lade
