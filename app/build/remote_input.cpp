#include "app/build/remote_input.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "parser/grammar.hpp"
#include "parser/parse.hpp"
#include "snapshotter/content/decompress.hpp"
#include "solver/lower/remote.hpp"
#include "solver/ops/file_op.hpp"
#include "solver/solve.hpp"

namespace lade {
namespace {

constexpr std::string_view kContextFile = "context";  // what an archive is called in its source
constexpr size_t kHeadSize = 1024;
constexpr VertexNumber kNumbersPerRun = 1000;

bool is_archive(std::string_view head) {
  return detect_compression(head) != Compression::none || is_tar_header(head);
}

/// Passes on with other numbers: a build's vertices are numbered from 1 once more.
class RenumberedProgress : public ProgressSink {
 public:
  RenumberedProgress(ProgressSink& inner, VertexNumber offset) : inner_(inner), offset_(offset) {}
  void declared(VertexNumber vertex, std::string_view name) override {
    inner_.declared(vertex + offset_, name);
  }
  void started(VertexNumber vertex) override { inner_.started(vertex + offset_); }
  void cached(VertexNumber vertex) override { inner_.cached(vertex + offset_); }
  void completed(VertexNumber vertex) override { inner_.completed(vertex + offset_); }
  void failed(VertexNumber vertex, std::string_view message) override {
    inner_.failed(vertex + offset_, message);
  }
  void canceled(VertexNumber vertex) override { inner_.canceled(vertex + offset_); }
  void log(VertexNumber vertex, LogStream stream, std::string_view bytes) override {
    inner_.log(vertex + offset_, stream, bytes);
  }
  void status(VertexNumber vertex, std::string_view item, uint64_t current,
              uint64_t total) override {
    inner_.status(vertex + offset_, item, current, total);
  }
  void warning(std::string_view message) override { inner_.warning(message); }

 private:
  ProgressSink& inner_;
  VertexNumber offset_;
};

/// One load.
class Loader {
 public:
  Loader(const BuildRequest& request, const InputSurroundings& surroundings)
      : request_(request), around_(surroundings) {}

  BuildInput load() {
    if (request_.context == "-") {
      load_standard_input();
    } else if (sys::is_directory(request_.context)) {
      return read_build_input(request_, dockerfile_of_url());
    } else {
      load_remote();
    }
    return std::move(input_);
  }

 private:
  // -- contexts

  void load_standard_input() {
    if (request_.file == "-") {
      throw Error("standard input cannot be both the context and the Dockerfile", ErrorKind::usage);
    }
    FdSource stdin_source(STDIN_FILENO);
    const std::string head = read_start(stdin_source, kHeadSize);
    if (!is_archive(head)) {
      if (!request_.file.empty()) {
        throw Error("standard input is a Dockerfile, and -f names another one", ErrorKind::usage);
      }
      set_dockerfile("-", head + read_all(stdin_source, parser::kMaxDockerfileSize,
                                          "the Dockerfile on standard input"));
      make_empty_context();
      return;
    }
    spool(head, stdin_source);
    input_.source = ContextSource{.source = {"local://context", {}},
                                  .name = "[internal] load build context",
                                  .archive = std::string(kContextFile)};
    read_dockerfile_in(solve(*input_.source));
  }

  /// As docker: a directory with nothing in it, here also always of the same age.
  void make_empty_context() {
    input_.spool = std::make_shared<PendingLayer>(around_.state.layers().prepare());
    input_.context = input_.spool->path();
    input_.context_cache = input_.spool->work();
    input_.context_name =
        "the build context, which is empty: the Dockerfile came on standard input (lade build -f - "
        "DIR has both)";
    const timespec times[2] = {{0, 0}, {0, 0}};
    ::utimensat(AT_FDCWD, input_.context.c_str(), times, 0);
  }

  void load_remote() {
    input_.source = remote_context(request_.context);
    adjust_git_source(input_.source->source);
    const bool http = is_http_source(request_.context);
    LayerStack context;
    if (http) {
      context = solve(*input_.source);
      const std::string head = read_file(context, std::string(kContextFile), kHeadSize, true);
      if (is_archive(head)) {
        input_.source->archive = kContextFile;
        context.clear();
      }
    }
    if (request_.file == "-") {
      FdSource stdin_source(STDIN_FILENO);
      set_dockerfile("-", read_all(stdin_source, parser::kMaxDockerfileSize,
                                   "the Dockerfile on standard input"));
    } else if (is_http_source(request_.file)) {
      input_.dockerfile = dockerfile_of_url();
    } else if (request_.file.starts_with('/')) {
      // An absolute path is one of this machine.
      input_.dockerfile = read_local_dockerfile(request_.file);
    } else if (http && input_.source->archive.empty()) {
      set_dockerfile("Dockerfile", read_file(context, std::string(kContextFile),
                                             parser::kMaxDockerfileSize, false));
    } else {
      context = solve(*input_.source);
      read_dockerfile_in(context);
    }
    if (wants_epoch()) input_.source_date_epoch = epoch_of(context);
  }

  bool wants_epoch() const {
    const auto epoch = request_.lower.build_args.find("SOURCE_DATE_EPOCH");
    return epoch != request_.lower.build_args.end() && epoch->second == "context";
  }

  /// The commit's time, the file's Last-Modified, else the newest file's.
  std::optional<int64_t> epoch_of(LayerStack context) {
    if (context.empty()) context = solve(*input_.source);
    const MergedIndex index = around_.state.layers().merged(context);
    if (!is_http_source(request_.context)) return index.find("")->entry->mtime_sec;
    std::optional<int64_t> newest;
    index.walk("", [&](const Found& found) {
      const Entry& entry = *found.entry;
      if (entry.type == EntryType::regular && entry.mtime_sec > newest.value_or(0)) {
        newest = entry.mtime_sec;
      }
      return true;
    });
    return newest;
  }

  void adjust_git_source(SourceOp& op) const {
    if (!op.identifier.starts_with("git://")) return;
    const auto& args = request_.lower.build_args;
    const auto keep = args.find("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
    if (keep != args.end() && parser::boolean(keep->second).value_or(false))
      op.attrs["keep-git-dir"] = "true";
    // With an epoch the same commit must give the same image.
    const auto epoch = args.find("SOURCE_DATE_EPOCH");
    if (epoch != args.end() && !epoch->second.empty()) op.attrs["mtime"] = "commit";
  }

  // -- Dockerfiles

  void set_dockerfile(const std::string& name, std::string text) {
    auto file = std::make_shared<SourceFile>();
    file->name = name;
    file->text = std::move(text);
    input_.dockerfile = std::move(file);
  }

  std::shared_ptr<const SourceFile> dockerfile_of_url() {
    ContextSource source;
    source.source = http_source(request_.file, "Dockerfile", "");
    source.name = "[internal] load build definition from " + redact_url(request_.file);
    set_dockerfile("Dockerfile",
                   read_file(solve(source), "Dockerfile", parser::kMaxDockerfileSize, false));
    return input_.dockerfile;
  }

  void read_dockerfile_in(const LayerStack& context) {
    const std::string name = request_.file.empty() ? "Dockerfile" : request_.file;
    std::string path = clean_path("/" + name).substr(1);
    if (base_name(path) == "Dockerfile" && !find(context, path)) {
      // As docker: the lower-case name works, too.
      const std::string lower = clean_path(dir_name("/" + path) + "/dockerfile").substr(1);
      if (find(context, lower)) path = lower;
    }
    if (!find(context, path)) {
      Error error(fmt::format("there is no Dockerfile {} in the context", lade::quoted(path)),
                  ErrorKind::not_found);
      error.set_hint("name it with -f FILE, relative to the context");
      throw error;
    }
    set_dockerfile(name, read_file(context, path, parser::kMaxDockerfileSize, false));
    if (find(context, path + kPolicySuffix)) input_.policy = path + kPolicySuffix;
  }

  // -- results

  std::optional<Found> find(const LayerStack& stack, const std::string& path) {
    return around_.state.layers().merged(stack).resolve(path);
  }

  /// A regular file's text; of a longer one the `head` only, or an Error.
  std::string read_file(const LayerStack& stack, const std::string& path, uint64_t limit,
                        bool head) {
    LayerStore& layers = around_.state.layers();
    const MergedIndex index = layers.merged(stack);
    const auto found = index.resolve(path);
    if (!found || found->entry->type != EntryType::regular) {
      throw Error(fmt::format("{} in the context is not a regular file", lade::quoted(path)));
    }
    FdSource bytes(layers.open_file(stack, *found));
    if (!head) return read_all(bytes, limit, lade::quoted(path));
    return read_start(bytes, limit);
  }

  /// Keeps what is on standard input for the time of the build.
  void spool(std::string_view head, ByteSource& rest) {
    auto place = std::make_shared<PendingLayer>(around_.state.layers().prepare());
    const UniqueFd dir = sys::open(place->path(), O_RDONLY | O_DIRECTORY);
    FdSink file(
        sys::openat(dir.get(), std::string(kContextFile), O_WRONLY | O_CREAT | O_EXCL, 0600));
    file.write(head);
    copy_stream(rest, file);
    input_.context = place->path();
    input_.context_cache = place->work();
    input_.spool = std::move(place);
  }

  LayerStack solve(const ContextSource& source) {
    Definition definition;
    const Edge root = add_context(definition, source);
    SolveOptions options;
    options.remotes = around_.remotes;
    if (input_.spool) {
      options.locals["context"] = {.directory = input_.context,
                                   .name = "the build context",
                                   .ignore_patterns = {},
                                   .ignore_file = {},
                                   .ignore_lines = {},
                                   .cache_dir = input_.context_cache};
    }
    numbers_ += kNumbersPerRun;
    RenumberedProgress progress(around_.progress, numbers_);
    EventLoop loop;
    Solver solver(around_.state, loop, nullptr, around_.images, progress, std::move(options));
    const CancelScope cancelable(around_.interrupts, [&] { loop.post([&] { solver.cancel(); }); });
    return solver.solve(definition, root).layers;
  }

  const BuildRequest& request_;
  const InputSurroundings& around_;
  BuildInput input_;
  VertexNumber numbers_ = 1'000'000;  // beyond those of any build
};

}  // namespace

bool has_remote_input(const BuildRequest& request) {
  if (request.context == "-" || is_http_source(request.file)) return true;
  return !sys::is_directory(request.context) &&
         with_context([&] { return "context " + lade::quoted(redact_url(request.context)); },
                      [&] { return remote_context(request.context).has_value(); });
}

std::shared_ptr<RemoteSources> make_remote_sources(StateDir& state, const BuildRequest& request) {
  RemoteSourceOptions options;
  options.secrets = request.secrets;
  options.ssh_agents = request.ssh_sockets;
  options.http.offline = request.offline;
  return std::make_shared<RemoteSources>(state, std::move(options));
}

BuildInput load_remote_input(const BuildRequest& request, const InputSurroundings& surroundings) {
  return Loader(request, surroundings).load();
}

}  // namespace lade
