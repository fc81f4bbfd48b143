#include "daemon/build/frontend_context.hpp"

#include <future>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "daemon/job/ref_files.hpp"
#include "daemon/llb/llb.hpp"
#include "parser/dockerignore.hpp"
#include "parser/grammar.hpp"
#include "parser/parse.hpp"
#include "snapshotter/content/decompress.hpp"
#include "solver/ops/file_op.hpp"

namespace lade {
namespace {

constexpr std::string_view kUploadUrl = "http://buildkit-session";
constexpr std::string_view kContextFile = "context";  // what an archive is called in its source
constexpr size_t kHeadSize = 1024;
constexpr const char* kIgnoreFile = ".dockerignore";
constexpr std::string_view kDirectories = "/moby.filesync.v1.FileSync/DiffCopy";

using Files = std::map<std::string, std::string>;  // contents by path

bool is_archive(std::string_view head) {
  return detect_compression(head) != Compression::none || is_tar_header(head);
}

/// The source, or what the policies say instead.
SourceOp allowed_source(const FrontendRequest& request, const SourceOp& source) {
  Definition graph;
  Vertex vertex;
  vertex.op = source;
  graph.vertices.push_back(std::move(vertex));
  apply_policies(request.policies, graph);
  return std::get<SourceOp>(graph.vertices.front().op);
}

LayerStack solve_source(Job& job, const ContextSource& source,
                        const std::map<std::string, LocalSourceOptions>& locals = {}) {
  JobRef ref;
  ref.root = add_context(ref.definition, source);
  ref.extra_locals = locals;
  return job.layers(std::make_shared<JobRef>(std::move(ref)));
}

class Loader {
 public:
  Loader(Job& job, const FrontendRequest& request) : job_(job), request_(request) {
    filename_ = option("filename", "Dockerfile");
  }

  FrontendInput load() {
    const std::string context = option(option("contextkey", "context"), "");
    if (context.starts_with(kUploadUrl)) {
      load_upload(context);
    } else if (auto remote = remote_context(context)) {
      load_remote(std::move(*remote), context);
    } else if (const auto input = request_.inputs.find("context"); input != request_.inputs.end()) {
      input_.source = ContextSource{.source = result_source(job_, input->second, {}),
                                    .name = "[internal] load build context",
                                    .archive = {}};
      read_dockerfile_elsewhere();
    } else {
      // All are asked for at once: each answer takes the client a while.
      if (job_.has_session() && request_.policies.empty()) job_.list_early(client_context());
      auto ignore = fetch_context_ignore();
      read_dockerfile_elsewhere();
      if (input_.ignore_file.empty() && ignore.valid()) take_context_ignore(ignore);
    }
    // Of a directory of the client's it means nothing, as in BuildKit.
    if (input_.source) input_.source->subdir = option("contextsubdir", "");
    return std::move(input_);
  }

 private:
  std::string option(const std::string& name, const std::string& fallback) const {
    const auto found = request_.options.find(name);
    return found == request_.options.end() ? fallback : found->second;
  }

  void set_dockerfile(std::string text) {
    auto file = std::make_shared<SourceFile>();
    file->name = filename_;
    file->text = std::move(text);
    input_.dockerfile = std::move(file);
  }

  void set_ignore(std::string text, const std::string& name) {
    const auto ignore = parser::Dockerignore::parse(std::move(text), name);
    input_.ignore_file = name;
    input_.ignore_patterns = ignore.patterns();
    input_.ignore_lines = ignore.lines();
  }

  /// In the order in which they are looked for: as docker, the lower-case name works, too.
  std::vector<std::string> dockerfile_names() const {
    std::vector<std::string> names = {filename_};
    if (base_name(filename_) == "Dockerfile") {
      names.push_back(clean_path(dir_name(filename_) + "/dockerfile"));
    }
    return names;
  }

  // -- where the Dockerfile is, unless it is in the context

  void read_dockerfile_elsewhere() {
    const auto input = request_.inputs.find("dockerfile");
    if (input != request_.inputs.end() && !request_.options.contains("dockerfilekey")) {
      read_dockerfile_in(job_.layers(input->second));
      return;
    }
    const std::string directory = option("dockerfilekey", "dockerfile");
    auto paths = dockerfile_names();
    paths.push_back(filename_ + kIgnoreFile);
    const std::string vertex = step("load build definition from " + filename_);
    auto files = told(vertex, directory, [&] { return fetch(directory, paths); });
    for (const auto& name : dockerfile_names()) {
      const auto found = files.find(name);
      if (found == files.end()) continue;
      set_dockerfile(std::move(found->second));
      break;
    }
    if (!input_.dockerfile) {
      const std::string why =
          fmt::format("failed to read dockerfile: open {}: no such file or directory", filename_);
      job_.journal().completed(vertex, false, why);
      throw Error(why, ErrorKind::not_found);
    }
    job_.journal().completed(vertex, false);
    const auto ignore = files.find(filename_ + kIgnoreFile);
    if (ignore != files.end()) set_ignore(std::move(ignore->second), filename_ + kIgnoreFile);
  }

  LocalDirectory client_context() const {
    LocalDirectory out;
    out.request.name = "context";
    out.session = session_of(request_, out.request.name);
    out.shared_key = "context";
    return out;
  }

  /// Not valid if there is nobody to ask.
  std::future<Files> fetch_context_ignore() {
    // Who has no directories has no context, which may not be needed.
    const bool offered =
        job_.has_session() && job_.session(session_of(request_, "context")).supports(kDirectories);
    if (!offered) return {};
    return std::async(std::launch::async, [this] { return fetch("context", {kIgnoreFile}); });
  }

  void take_context_ignore(std::future<Files>& fetched) {
    const std::string vertex = step(fmt::format("load {}", kIgnoreFile));
    try {
      auto files = told(vertex, "context", [&] { return fetched.get(); });
      job_.journal().completed(vertex, false);
      const auto found = files.find(kIgnoreFile);
      if (found != files.end()) set_ignore(std::move(found->second), kIgnoreFile);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::not_found) throw;
    }
  }

  std::string step(const std::string& what) {
    std::string vertex = Digest::of(job_.id() + "\n" + what).str();
    job_.journal().declare(vertex, "[internal] " + what);
    job_.journal().started(vertex);
    return vertex;
  }

  Files fetch(const std::string& directory, const std::vector<std::string>& paths) const {
    request_.policies.allow_directory(directory);
    return job_.session(session_of(request_, directory))
        .read_files({.name = directory, .include = {}, .exclude = {}, .follow = paths}, paths,
                    parser::kMaxDockerfileSize);
  }

  /// What get() gives, with its size or its error told of the vertex.
  template <class Get>
  Files told(const std::string& vertex, const std::string& directory, Get get) {
    try {
      Files files = get();
      uint64_t bytes = 0;
      for (const auto& [name, text] : files) bytes += text.size();
      job_.journal().status(vertex, fmt::format("transferring {}:", directory), bytes, 0);
      return files;
    } catch (const Error& error) {
      job_.journal().completed(vertex, false, error.message());
      throw;
    }
  }

  // -- contexts that are none of the client's directories

  LayerStack solve(const ContextSource& source) {
    return solve_source(job_, source, input_.extra_locals);
  }

  void read_dockerfile_in(const LayerStack& stack) {
    const RefFiles files(job_, stack);
    for (const auto& name : dockerfile_names()) {
      if (!files.find(name)) continue;
      set_dockerfile(files.read(name, 0, 0, parser::kMaxDockerfileSize));
      return;
    }
    throw Error(
        fmt::format("failed to read dockerfile: open {}: no such file or directory", filename_),
        ErrorKind::not_found);
  }

  void read_dockerfile_of(const LayerStack& stack) {
    if (request_.options.contains("dockerfilekey")) {
      read_dockerfile_elsewhere();
      input_.ignore_file.clear();
      input_.ignore_patterns.clear();
    } else {
      read_dockerfile_in(stack);
    }
  }

  void load_upload(const std::string& url) {
    const auto source = job_.session().upload(url.substr(kUploadUrl.size()));
    auto place = std::make_shared<PendingLayer>(job_.state().layers().prepare());
    const std::string head = read_start(*source, kHeadSize);
    if (!is_archive(head)) {
      set_dockerfile(head + read_all(*source, parser::kMaxDockerfileSize, "the Dockerfile"));
      input_.source = ContextSource{.source = {"scratch", {}}, .name = {}, .archive = {}};
      return;
    }
    {
      const UniqueFd dir = sys::open(place->path(), O_RDONLY | O_DIRECTORY);
      FdSink file(
          sys::openat(dir.get(), std::string(kContextFile), O_WRONLY | O_CREAT | O_EXCL, 0600));
      file.write(head);
      copy_stream(*source, file);
    }
    input_.extra_locals["context"] = {.directory = place->path(),
                                      .name = "the build context",
                                      .ignore_patterns = {},
                                      .ignore_file = {},
                                      .ignore_lines = {},
                                      .cache_dir = place->work()};
    input_.keep.push_back(place);
    input_.source = ContextSource{.source = {"local://context", {}},
                                  .name = "[internal] load build context",
                                  .archive = std::string(kContextFile)};
    read_dockerfile_of(solve(*input_.source));
  }

  void load_remote(ContextSource remote, const std::string& url) {
    input_.source = std::move(remote);
    SourceOp& op = input_.source->source;
    const std::string epoch = option("build-arg:SOURCE_DATE_EPOCH", "");
    if (op.identifier.starts_with("git://")) {
      if (parser::boolean(option("build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR", "0")).value_or(false)) {
        op.attrs["keep-git-dir"] = "true";
      }
      // With an epoch the same commit must give the same image.
      if (!epoch.empty()) op.attrs["mtime"] = "commit";
    }
    op = allowed_source(request_, op);
    LayerStack context = solve(*input_.source);
    const bool http = is_http_source(url);
    if (http) {
      const RefFiles files(job_, context);
      const std::string file(kContextFile);
      if (is_archive(files.read(file, 0, kHeadSize, kHeadSize))) {
        input_.source->archive = kContextFile;
        context = solve(*input_.source);
      } else if (!request_.options.contains("dockerfilekey")) {
        filename_ = file;
      }
    }
    read_dockerfile_of(context);
  }

  Job& job_;
  const FrontendRequest& request_;
  std::string filename_;
  FrontendInput input_;
};

}  // namespace

std::optional<int64_t> source_time(Job& job, const FrontendRequest& request,
                                   const SourceOp& source) {
  ContextSource context{.source = allowed_source(request, source),
                        .name = "[internal] resolve SOURCE_DATE_EPOCH source",
                        .archive = {}};
  const bool git = context.source.identifier.starts_with("git://");
  if (git) context.source.attrs["mtime"] = "commit";
  const RefFiles files(job, solve_source(job, context));
  if (git) return files.index().find("")->entry->mtime_sec;
  const auto entries = files.list("");
  if (entries.empty()) return std::nullopt;
  const auto& [name, found] = entries.front();
  // What the server says, else the newest file of an archive.
  if (found.entry->mtime_sec > 0) return found.entry->mtime_sec;
  if (!is_archive(files.read(name, 0, kHeadSize, kHeadSize))) return std::nullopt;
  context.archive = name;
  const RefFiles unpacked(job, solve_source(job, context));
  std::optional<int64_t> newest;
  unpacked.index().walk("", [&](const Found& file) {
    const Entry& entry = *file.entry;
    if (entry.type == EntryType::regular && entry.mtime_sec > newest.value_or(0)) {
      newest = entry.mtime_sec;
    }
    return true;
  });
  return newest;
}

FrontendInput load_frontend_input(Job& job, const FrontendRequest& request) {
  return Loader(job, request).load();
}

std::string session_of(const FrontendRequest& request, const std::string& directory) {
  const auto found = request.options.find("local-sessionid:" + directory);
  return found == request.options.end() ? "" : found->second;
}

std::vector<std::string> read_client_ignore(Job& job, const std::string& session,
                                            const std::string& directory) {
  auto files = job.session(session).read_files(
      {.name = directory, .include = {}, .exclude = {}, .follow = {kIgnoreFile}}, {kIgnoreFile},
      parser::kMaxDockerfileSize);
  const auto found = files.find(kIgnoreFile);
  if (found == files.end()) return {};
  return parser::Dockerignore::parse(std::move(found->second), kIgnoreFile).patterns();
}

}  // namespace lade
