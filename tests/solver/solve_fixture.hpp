// Helpers of the scheduler's tests: graphs made by hand, builds with the fake executor, what they
// told.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "fake_executor.hpp"
#include "solver/solve.hpp"
#include "solver_fixture.hpp"
#include "support.hpp"

namespace lade::testing_solver {

/// Builds a Definition; vertices are named by their numbers.
class Graph {
 public:
  Definition definition;

  uint32_t source(const std::string& identifier) { return add(SourceOp{identifier, {}}, {}); }
  uint32_t scratch() { return source("scratch"); }
  uint32_t run(uint32_t root, const std::string& command) {
    ExecOp op;
    op.args = {command};
    return add(std::move(op), {root});
  }
  uint32_t copy(uint32_t root, uint32_t from, const std::string& path) {
    return add(FileOp{{CopyAction{.source = path, .destination = path}}}, {root, from});
  }
  uint32_t file(uint32_t root, const std::string& path, const std::string& content) {
    return add(FileOp{{MakeFileAction{.name = "f", .content = content, .destination = path}}},
               {root});
  }
  uint32_t merge(const std::vector<uint32_t>& inputs) { return add(MergeOp{}, inputs); }

  uint32_t add(Op op, const std::vector<uint32_t>& inputs) {
    Vertex vertex;
    vertex.op = std::move(op);
    for (const auto input : inputs) vertex.inputs.push_back(Edge{input, 0});
    const auto number = static_cast<uint32_t>(definition.vertices.size());
    vertex.name = fmt::format("v{}", number);
    definition.vertices.push_back(std::move(vertex));
    return number;
  }
  Vertex& at(uint32_t vertex) { return definition.vertices.at(vertex); }
};

/// Notes what is told about vertices: "cached v2".
class Progress : public NullProgress {
 public:
  void declared(VertexNumber vertex, std::string_view name) override {
    const std::lock_guard lock(mutex_);
    names_[vertex] = name;
  }
  void started(VertexNumber vertex) override { note("started", vertex); }
  void cached(VertexNumber vertex) override { note("cached", vertex); }
  void completed(VertexNumber vertex) override { note("completed", vertex); }
  void failed(VertexNumber vertex, std::string_view) override { note("failed", vertex); }
  void canceled(VertexNumber vertex) override { note("canceled", vertex); }

  std::vector<std::string> events;

 private:
  void note(const char* what, VertexNumber vertex) {
    const std::lock_guard lock(mutex_);
    events.push_back(std::string(what) + " " + names_[vertex]);
  }
  std::mutex mutex_;
  std::map<VertexNumber, std::string> names_;
};

/// One build.
struct Build {
  SolveResult result;
  std::string error;  ///< empty if it succeeded
  ErrorKind kind = ErrorKind::general;
  std::optional<SolveFailure> failure;
  std::optional<LostLayer> lost;  ///< if that is how it failed
  std::vector<SharedRecord> records;
  std::vector<StepLog> steps;
  std::vector<std::string> started;
  std::vector<std::string> killed;
  std::vector<std::string> events;
  size_t most_running = 0;
  size_t still_running = 0;
};

class SolveTest : public StateTest {
 protected:
  Build solve(const Graph& graph, uint32_t root, SolveOptions options = {}) {
    return solve_in(*state_, graph, {root, 0}, std::move(options), steps_, cancel_after_);
  }
  Build solve(const Graph& graph, Edge root) {
    return solve_in(*state_, graph, root, {}, steps_, cancel_after_);
  }

  static Build solve_in(StateDir& state, const Graph& graph, Edge root, SolveOptions options,
                        const std::map<std::string, FakeStep>& steps,
                        std::optional<std::chrono::milliseconds> cancel_after = {}) {
    Build build;
    EventLoop loop;
    FakeExecutor executor;
    executor.steps = steps;
    ImageSources images(state, {});
    Progress progress;
    {
      Solver solver(state, loop, &executor, images, progress, std::move(options));
      if (cancel_after) loop.after(*cancel_after, [&] { solver.cancel(); });
      try {
        build.result = solver.solve(graph.definition, root);
        build.records = solver.shared_records();
      } catch (const Error& error) {
        if (const auto* lost = dynamic_cast<const LostLayer*>(&error)) build.lost = *lost;
        build.error = error_of([&]() { throw error; });
        build.kind = error.kind();
      }
      if (solver.failure()) build.failure = *solver.failure();
      build.steps = solver.steps();
      build.still_running = executor.running;
    }
    build.started = executor.started;
    build.killed = executor.killed;
    build.most_running = executor.most_running;
    build.events = progress.events;
    return build;
  }

  SolveOptions with_context(const std::string& path) {
    LocalSourceOptions local;
    local.directory = path;
    local.name = "the build context";
    local.cache_dir = state_->root() + "/stat-cache";
    sys::make_dirs(local.cache_dir, 0700);
    SolveOptions options;
    options.locals["context"] = local;
    return options;
  }

  size_t files_in(const std::string& path) {
    return sys::list_dir(sys::open(path, O_RDONLY | O_DIRECTORY).get()).size();
  }

  int64_t count_layers() {
    auto rows = state_->database().prepare("SELECT count(*) FROM layers");
    return rows.step() ? rows.integer(0) : -1;
  }

  std::map<std::string, FakeStep> steps_;
  std::optional<std::chrono::milliseconds> cancel_after_;
};

}  // namespace lade::testing_solver
