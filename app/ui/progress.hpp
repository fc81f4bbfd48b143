// How progress looks: plain lines as `docker build --progress=plain` prints them, JSON, or nothing.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/progress.hpp"

namespace lade {

/// "#5 [build 2/3] RUN make", "#5 0.213 its output", "#5 DONE 1.2s". Vertices are numbered in the
/// order in which something first happens to them. Each line is written whole. Every byte of a
/// step's output appears, but on a terminal, which gets no more than for_terminal() lets through.
class PlainProgress : public ProgressSink {
 public:
  explicit PlainProgress(int fd);

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
  using Clock = std::chrono::steady_clock;
  struct Item {
    Clock::time_point shown;
    bool complete = false;
  };
  struct State {
    std::string name;
    int shown_as = 0;  // the number behind "#"; 0 while nothing happened
    Clock::time_point started;
    std::string partial[2];  // lines without an end yet, per stream
    std::map<std::string, Item> items;
  };

  State& shown(VertexNumber vertex);
  std::string output_line(const State& state, std::string_view line) const;
  void flush_partial(State& state);
  void finish(VertexNumber vertex, const std::string& text);
  void print(const std::string& text);

  int fd_;
  bool terminal_;
  std::mutex mutex_;
  std::map<VertexNumber, State> states_;
  int next_ = 1;
};

/// Prints warnings only.
class QuietProgress : public NullProgress {
 public:
  explicit QuietProgress(int fd) : fd_(fd) {}
  void warning(std::string_view message) override;

 private:
  int fd_;
};

enum class ProgressMode {
  plain,
  quiet,  ///< warnings alone
  none,
  rawjson,  ///< BuildKit's SolveStatus, a line of JSON for each event
};

/// The modes that docker has names for; "auto" and "tty" are plain lines, too. Throws Error(usage).
ProgressMode parse_progress(const std::string& text);

/// What commands show on standard error.
std::unique_ptr<ProgressSink> make_progress(ProgressMode mode);

}  // namespace lade
