// --progress=rawjson: what happens, a line of JSON for each event, for programs.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/progress.hpp"

namespace lade {

class JsonWriter;

/// Lines of the form of BuildKit's client.SolveStatus: objects with one of "vertexes", "statuses",
/// "logs" (base64) and "warnings" (base64). A vertex's digest stands for it in this build alone.
class JsonProgress : public ProgressSink {
 public:
  explicit JsonProgress(int fd) : fd_(fd) {}

  void declared(VertexNumber vertex, std::string_view name) override;
  void started(VertexNumber vertex) override;
  void cached(VertexNumber vertex) override;
  void completed(VertexNumber vertex) override;
  void failed(VertexNumber vertex, std::string_view message) override;
  void canceled(VertexNumber vertex) override;
  void log(VertexNumber vertex, LogStream stream, std::string_view bytes) override;
  void status(VertexNumber vertex, std::string_view item, uint64_t current,
              uint64_t total) override;
  void warning(std::string_view message) override;

 private:
  struct State {
    std::string name;
    std::string digest;
    std::string started;                       // RFC 3339; empty before
    std::map<std::string, std::string> items;  // when each was first seen
  };
  enum class Ending { none, done, cached };

  State& state(VertexNumber vertex);
  void show(VertexNumber vertex, Ending ending, std::string_view error);
  void print(JsonWriter& line);

  int fd_;
  std::mutex mutex_;
  std::map<VertexNumber, State> states_;
};

}  // namespace lade
