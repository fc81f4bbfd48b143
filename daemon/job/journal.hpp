// What happens in a build, in order, for everybody who watches it: now, later, or after its end.
//
// The journal is a file of BuildKit's StatusResponse messages, each with its length in front (a
// little-endian u32). Watchers read it at their own pace, so a build never waits for them and
// memory does not grow with its output.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.hpp"
#include "base/unique_fd.hpp"
#include "parser/lint.hpp"
#include "solver/graph/definition.hpp"

namespace moby::buildkit::v1 {
class StatusResponse;
class Vertex;
}  // namespace moby::buildkit::v1

namespace lade {

/// Thread-safe. What is told of a vertex twice (it was looked at by two solves) counts once.
class Journal {
 public:
  /// Makes the file. Throws Error.
  explicit Journal(const std::string& path);

  void declare(const std::string& vertex, std::string_view name,
               const std::vector<std::string>& inputs = {});
  void started(const std::string& vertex);
  void completed(const std::string& vertex, bool cached, std::string_view error = {});
  /// As buildkitd does it, a vertex's output is cut beyond $BUILDKIT_STEP_LOG_MAX_SIZE bytes (2
  /// MiB; -1: nowhere), so that a step cannot fill the disk with it; the end of it follows when the
  /// vertex ends.
  void log(const std::string& vertex, LogStream stream, std::string_view bytes);
  /// `total` 0: not known; both 0: a line of text that stands for itself.
  void status(const std::string& vertex, std::string_view item, uint64_t current, uint64_t total);
  void warning(const std::string& vertex, const parser::Warning& warning);
  void warning(const std::string& vertex, std::string_view text);
  void append(const moby::buildkit::v1::StatusResponse& message);

  /// Nothing follows.
  void finish();

  /// Messages from `offset` on, joined into one, at most about `kReadSize` bytes; moves `offset`.
  /// Waits for more; empty at the end, or once `stop()` (asked now and then) says so.
  std::string read(uint64_t& offset, const std::function<bool()>& stop);

  struct Counts {
    int total = 0;
    int completed = 0;
    int cached = 0;
    int warnings = 0;
  };
  Counts counts() const;

 private:
  struct Vertex {
    std::string name;
    std::vector<std::string> inputs;
    int64_t started = 0;  ///< nanoseconds since 1970
    int64_t ended = 0;    ///< the same; of `error`, too
    bool completed = false;
    bool cached = false;
    bool told = false;
    std::string error;
    std::map<std::string, int64_t> items;  ///< statuses: when they started
    std::set<std::string> done_items;
    uint64_t log_bytes = 0;                ///< of its output, all that came
    std::array<std::string, 2> clipped{};  ///< by stream: the end of what was left out
  };
  void append_locked(const moby::buildkit::v1::StatusResponse& message);
  static void describe(moby::buildkit::v1::Vertex& out, const std::string& digest,
                       const Vertex& vertex);
  void tell(const std::string& digest, const Vertex& vertex);
  void write_log(const std::string& vertex, LogStream stream, std::string_view bytes);
  void tell_clipped(const std::string& digest, Vertex& vertex);
  void tell_warning(const std::string& digest, moby::buildkit::v1::StatusResponse& message);

  UniqueFd fd_;
  const uint64_t max_log_;
  mutable std::mutex mutex_;  // guards what is below
  std::condition_variable changed_;
  uint64_t size_ = 0;
  bool finished_ = false;
  int warnings_ = 0;
  std::map<std::string, Vertex> vertices_;
};

/// A finished build's journal as one message, or an Error if it is damaged.
std::string read_journal(const std::string& path, uint64_t& offset);

/// A sink that writes to a journal. Which of its vertices a number is, its kinds say.
class ProgressToJournal : public ProgressSink {
 public:
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

 protected:
  explicit ProgressToJournal(Journal& journal) : journal_(journal) {}

  virtual std::string digest_of(VertexNumber vertex) const = 0;
  virtual std::vector<std::string> inputs_of(VertexNumber vertex) const;
  /// The vertex that warnings of none in particular belong to.
  virtual std::string whole() const = 0;

 private:
  Journal& journal_;
};

/// The sink of one solve.
class JournalProgress : public ProgressToJournal {
 public:
  /// `definition` is the one that is solved; both outlive this.
  JournalProgress(Journal& journal, const Definition& definition);

  const std::string& digest(VertexNumber vertex) const { return digests_.at(vertex - 1); }

 private:
  std::string digest_of(VertexNumber vertex) const override { return digest(vertex); }
  std::vector<std::string> inputs_of(VertexNumber vertex) const override;
  std::string whole() const override { return digests_.empty() ? "" : digests_.front(); }

  const Definition& definition_;
  std::vector<std::string> digests_;
};

/// The sink of what follows a solve, exports: each number is a vertex of its own.
class StepProgress : public ProgressToJournal {
 public:
  /// `scope` makes the vertices' digests differ from those of other scopes.
  StepProgress(Journal& journal, std::string scope)
      : ProgressToJournal(journal), scope_(std::move(scope)) {}

 private:
  std::string digest_of(VertexNumber vertex) const override;
  std::string whole() const override { return digest_of(0); }

  std::string scope_;
};

}  // namespace lade
