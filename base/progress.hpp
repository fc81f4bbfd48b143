// What a build tells whoever is watching. Producers know nothing of terminals; app/ renders.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lade {

/// Number of a vertex within one build, as shown to people ("#7"). 0 is the build itself.
using VertexNumber = uint32_t;

enum class LogStream { out, err };

/// Receives progress. Implementations are thread-safe; calls for one vertex come in order:
/// started? (log|status)* (completed|cached|failed|canceled).
class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  /// A vertex that the build may run; `name` as people see it ("[stage 2/5] RUN make").
  virtual void declared(VertexNumber vertex, std::string_view name) = 0;
  virtual void started(VertexNumber vertex) = 0;
  virtual void cached(VertexNumber vertex) = 0;
  virtual void completed(VertexNumber vertex) = 0;
  virtual void failed(VertexNumber vertex, std::string_view message) = 0;
  virtual void canceled(VertexNumber vertex) = 0;
  /// Raw output of a step; need not end at a line's end.
  virtual void log(VertexNumber vertex, LogStream stream, std::string_view bytes) = 0;
  /// A part of a vertex's work that has a size ("sha256:...", bytes so far, bytes in all; 0
  /// unknown).
  virtual void status(VertexNumber vertex, std::string_view item, uint64_t current,
                      uint64_t total) = 0;
  virtual void warning(std::string_view message) = 0;
};

/// Drops everything.
class NullProgress : public ProgressSink {
 public:
  void declared(VertexNumber, std::string_view) override {}
  void started(VertexNumber) override {}
  void cached(VertexNumber) override {}
  void completed(VertexNumber) override {}
  void failed(VertexNumber, std::string_view) override {}
  void canceled(VertexNumber) override {}
  void log(VertexNumber, LogStream, std::string_view) override {}
  void status(VertexNumber, std::string_view, uint64_t, uint64_t) override {}
  void warning(std::string_view) override {}
};

}  // namespace lade
