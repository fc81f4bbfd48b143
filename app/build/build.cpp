// `lade build`: parse, lower, solve, export.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include "app/build/build_export.hpp"
#include "app/build/build_input.hpp"
#include "app/build/build_options.hpp"
#include "app/build/call_run.hpp"
#include "app/build/commands.hpp"
#include "app/build/remote_input.hpp"
#include "app/image/build_storage.hpp"
#include "app/ui/interrupts.hpp"
#include "app/ui/progress.hpp"
#include "base/error.hpp"
#include "base/shown_text.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "builder/attest/sbom.hpp"
#include "builder/build_cache.hpp"
#include "builder/frontend.hpp"
#include "builder/report/lint_report.hpp"
#include "parser/parse.hpp"
#include "snapshotter/reserve.hpp"
#include "solver/cache/cache_store.hpp"
#include "solver/lower/local_name.hpp"
#include "solver/solve.hpp"

namespace lade {
namespace {

/// How often a context that changes is scanned again. Each time more of it is kept as it is hashed.
constexpr int kRescans = 10;

/// Whether any stage has a COPY or ADD of files of the build context.
bool copies_from_context(const parser::Dockerfile& dockerfile) {
  const auto takes_files = [](const parser::Transfer& transfer) {
    return std::any_of(transfer.sources.begin(), transfer.sources.end(),
                       [](const std::string& source) { return !source.starts_with("http"); });
  };
  const auto reads = [&](const parser::Command& command) {
    if (const auto* copy = std::get_if<parser::Copy>(&command.body)) {
      return copy->from.empty() && takes_files(copy->transfer);
    }
    const auto* add = std::get_if<parser::Add>(&command.body);
    return add && takes_files(add->transfer);
  };
  return std::any_of(dockerfile.stages.begin(), dockerfile.stages.end(),
                     [&](const parser::Stage& stage) {
                       return std::any_of(stage.commands.begin(), stage.commands.end(), reads);
                     });
}

/// One run of `lade build`.
class Build {
 public:
  Build(const Globals& globals, BuildRequest request)
      : root_(StateDir::default_root(globals.root)), request_(std::move(request)) {}

  int run() {
    if (request_.call.method != CallMethod::build) return call();
    // Before anything starts a thread: the process that makes sandboxes is forked off this one.
    executor_ = Executor::create({.network = request_.network_reach});
    // Before signals are blocked, which a started agent would inherit.
    agents_.emplace(request_.ssh);
    request_.ssh_sockets = agents_->sockets();
    interrupts_.emplace();
    check_destinations(request_.outputs);
    remove_stale_reports(request_);
    progress_ = make_progress(request_.progress);
    for (const auto& warning : request_.warnings) progress_->warning(warning);

    // Parse.
    const BuildInput input = read_input();
    check_frontend(input.dockerfile, request_.lower.build_args);
    if (!input.policy.empty()) {
      progress_->warning(fmt::format(
          "the policy {} is not evaluated, as docker buildx would: lade checks no policies",
          lade::quoted(input.policy)));
    }
    parser::Linter linter(read_lint_config(request_, input));
    std::optional<WarningsAtEnd> warnings;
    if (!request_.quiet() && request_.progress != ProgressMode::none)
      warnings.emplace(linter, request_.debug);
    const parser::Dockerfile dockerfile = parser::parse(input.dockerfile, &linter);

    // Meanwhile a thread looks at what the Dockerfile may copy.
    if (!input.source && copies_from_context(dockerfile)) {
      scans_["context"] = begin_scan(context_options(input));
    }

    // Lower: a graph and a config for the target. Asks registries for base images' configs.
    open_state();
    std::vector<BuiltImage> images = lower_all(dockerfile, linter);
    prepare_outputs(images.front().lowered);

    // Solve: run what is not cached, all platforms side by side. Export.
    Definition graph;
    std::vector<Edge> roots;
    std::vector<Edge> scans;
    for (auto& image : images) {
      auto& lowered = image.lowered;
      if (lowered.scan) scans.push_back(append(graph, lowered.definition, *lowered.scan));
      roots.push_back(append(graph, std::move(lowered.definition), lowered.root));
    }
    roots.insert(roots.end(), scans.begin(), scans.end());
    open_caches();
    for (bool done = false; !done;) done = solve_and_export(graph, roots, images, input);
    state_->layers().write_use();
    make_room();
    state_->database().checkpoint_if_large();
    return 0;
  }

 private:
  /// `roots` are the images', then, if SBOMs are wanted, what their scanner said, in the same
  /// order. False if it is to be done again: a layer that another machine's cache promised is not
  /// to be had, and what made it is run; or a context changed between being hashed and copied, and
  /// is scanned anew.
  bool solve_and_export(const Definition& graph, const std::vector<Edge>& roots,
                        std::vector<BuiltImage>& images, const BuildInput& input) {
    try {
      std::vector<SolveResult> solved = solve(graph, roots, input);
      for (size_t i = 0; i < images.size(); ++i) {
        images[i].solved = std::move(solved[i]);
        images[i].inline_cache = caches_->inline_records(records_);
        images[i].attestations.clear();
        if (request_.attest.sbom) {
          const LayerStack& scan = solved.at(images.size() + i).layers;
          images[i].attestations =
              sbom_attestations(*state_, scan, images[i].solved.layers, caches_->provider());
        }
        attest(graph, roots[i], input, images[i]);
      }
      const auto first = static_cast<VertexNumber>(graph.vertices.size() + 1);
      const ExportedBuild exported = export_images(images, first);
      unnamed_ = exported.unnamed;
      caches_->export_all(records_, mounts_, *progress_, exported.next);
      return true;
    } catch (const LostLayer& lost) {
      const auto problem = caches_->imports() ? caches_->imports()->distrust(lost) : std::nullopt;
      if (!problem) throw;
      if (!problem->empty()) progress_->warning(*problem);
      return false;
    } catch (const ChangedContext& changed) {
      if (++rescans_ > kRescans) throw;
      unsteady_[changed.context()].insert(changed.path());
      progress_->warning(changed.message() + ", and is read again");
      if (scans_.contains("context")) scans_["context"] = begin_scan(context_options(input));
      return false;
    }
  }

  ExportedBuild export_images(const std::vector<BuiltImage>& images, VertexNumber first) {
    try {
      return export_build(*state_, *progress_, request_, images, caches_->provider(), first);
    } catch (Error& error) {
      // What lade prune frees is of no use on another disk, where an output goes.
      if (error.hint() == kRoomHint && !is_disk_full(state_->root())) error.set_hint("");
      throw;
    }
  }

  /// The statement is made when an output is written: it tells of layers.
  void attest(const Definition& graph, Edge root, const BuildInput& input, BuiltImage& image) {
    const auto& options = request_.attest.provenance;
    if (!options) return;
    ProvenanceFacts facts;
    facts.id = build_id_;
    facts.started = started_;
    facts.request = provenance_request();
    if (!has_remote_input(request_)) facts.locals = {"context", "dockerfile"};
    facts.pins = remotes_->pins(graph);
    if (input.source) pin_context(*input.source, facts);
    image.attestations.push_back(
        {[options = *options, facts = std::move(facts), &graph, root](const WrittenImage* written) {
           return provenance(options, facts, graph, root, written);
         },
         options->file_name, options->inline_only});
  }

  /// The Dockerfile came from there, whether the graph needs the rest of it or not.
  void pin_context(const ContextSource& context, ProvenanceFacts& facts) {
    if (!RemoteSources::handles(context.source)) return;
    if (auto pin = remotes_->pin(context.source)) facts.pins[context.source] = std::move(*pin);
  }

  /// What was asked for, in the words that BuildKit's clients have for it.
  ProvenanceRequest provenance_request() const {
    ProvenanceRequest out;
    out.frontend = kDockerfileFrontend;
    for (const auto& [name, value] : request_.lower.build_args) {
      // The machine's proxies tell nothing of the image, and may hold a password.
      if (!request_.own_args.contains(name)) out.args["build-arg:" + name] = value;
    }
    for (const auto& [name, value] : request_.lower.labels) out.args["label:" + name] = value;
    for (const auto& [name, value] : request_.lower.contexts) {
      const bool directory = !is_image_context(value) && !remote_context(value);
      out.args["context:" + name] = directory ? "local:" + name : value;
    }
    if (!request_.lower.target.empty()) out.args["target"] = request_.lower.target;
    if (!request_.file.empty()) out.args["filename"] = base_name(request_.file);
    if (remote_context(request_.context)) out.args["context"] = request_.context;
    if (request_.lower.no_cache) out.args["no-cache"] = "";
    return out;
  }

  /// Cache that others made goes, never what this build has used.
  void make_room() {
    StorageLimits limits{request_.max_storage, {}, unnamed_};
    if (request_.keep_storage) {
      limits.cache = SpaceLimit{.max_used = request_.keep_storage};
    } else if (request_.limits_cache && !request_.max_storage) {
      limits.cache = SpaceLimit::by_default(disk_space(state_->root()));
    }
    keep_within(*state_, limits, *progress_);
  }

  /// --call: looks at the Dockerfile only, and at configs of base images where they matter.
  int call() {
    const BuildInput input = read_input();
    check_frontend(input.dockerfile, request_.lower.build_args);
    return run_call(request_, input, [&]() -> ImageResolver& {
      open_state();
      return *images_;
    });
  }

  void open_state() {
    if (state_) return;
    state_ = StateDir::open(root_);
    images_ = std::make_unique<ImageSources>(*state_, image_options());
    remotes_ = make_remote_sources(*state_, request_);
  }

  /// The Dockerfile, and what lowering must know of the context.
  BuildInput read_input() {
    BuildInput input;
    if (has_remote_input(request_)) {
      open_state();
      if (!progress_) progress_ = make_progress(request_.progress);
      input = load_remote_input(request_, {.state = *state_,
                                           .images = *images_,
                                           .remotes = remotes_,
                                           .progress = *progress_,
                                           .interrupts = interrupts_ ? &*interrupts_ : nullptr});
    } else {
      input = read_build_input(request_);
    }
    request_.lower.ignore_patterns = input.ignore.patterns;
    request_.lower.context_source = input.source;
    set_context_epoch(input);
    return input;
  }

  /// SOURCE_DATE_EPOCH=context: the context's time; a directory has none.
  void set_context_epoch(const BuildInput& input) {
    auto& args = request_.lower.build_args;
    const auto epoch = args.find("SOURCE_DATE_EPOCH");
    if (epoch == args.end() || epoch->second != "context") return;
    if (input.source_date_epoch) {
      epoch->second = fmt::format("{}", *input.source_date_epoch);
    } else {
      args.erase(epoch);
    }
  }

  ImageSourceOptions image_options() const {
    return {.pull = request_.pull,
            .offline = request_.offline,
            .client_directory = sys::current_directory()};
  }

  /// Once per platform.
  std::vector<BuiltImage> lower_all(const parser::Dockerfile& dockerfile, parser::Linter& linter) {
    std::vector<BuiltImage> images;
    std::vector<std::optional<Platform>> platforms(request_.platforms.begin(),
                                                   request_.platforms.end());
    if (platforms.empty()) platforms.emplace_back();
    for (const auto& platform : platforms) {
      LowerOptions options = request_.lower;
      options.target_platform = platform;
      options.name_platforms = platforms.size() > 1;
      options.scanner = request_.attest.sbom;
      // What there is to say of one platform was said of the first.
      options.linter = images.empty() ? &linter : nullptr;
      images.push_back({lower(dockerfile, options, *images_), {}, {}});
      if (images.size() > 1) continue;
      for (const auto& warning : images.front().lowered.unused_options) progress_->warning(warning);
    }
    return images;
  }

  void prepare_outputs(const LoweredImage& image) {
    for (auto& output : request_.outputs) {
      if (image.source_date_epoch) {
        output.image.source_date_epoch = Timestamp{*image.source_date_epoch, 0};
      } else if (output.image.rewrite_timestamp) {
        Error error("rewrite-timestamp=true needs SOURCE_DATE_EPOCH", ErrorKind::usage);
        error.set_hint("set it in the environment or with --build-arg SOURCE_DATE_EPOCH=...");
        throw error;
      }
      if (output.names.empty()) output.names = request_.names;
    }
  }

  void open_caches() {
    CompressionOptions compression;
    bool is_image = false;
    for (const auto& output : request_.outputs) {
      if (!needs_blobs(output) || output.image.lazy) continue;
      compression = output.image.compression;
      is_image = true;
    }
    const bool is_inline = std::any_of(
        request_.cache_to.begin(), request_.cache_to.end(),
        [](const CacheTarget& target) { return target.place.type == CacheType::inlined; });
    if (is_inline && !is_image) {
      progress_->warning("--cache-to type=inline has no effect: no output is an image");
    }
    RegistryOptions registries;
    registries.http.offline = request_.offline;
    std::shared_ptr<RegistryClient> client;
    std::vector<CacheImports::Origin> origins;
    for (const auto& place : request_.cache_from) {
      const bool is_written = std::any_of(
          request_.cache_to.begin(), request_.cache_to.end(),
          [&](const CacheTarget& target) { return target.place.name() == place.name(); });
      origins.push_back(
          {place.name(), open_cache(place, client, registries), place.mounts, is_written});
    }
    std::vector<CacheDestination> destinations;
    for (const auto& target : request_.cache_to) {
      const bool in_image = target.place.type == CacheType::inlined;
      destinations.push_back(
          {target, in_image ? nullptr : open_cache(target.place, client, registries)});
    }
    std::shared_ptr<CacheImports> imports;
    if (!origins.empty())
      imports = std::make_shared<CacheImports>(*state_, *images_, std::move(origins));
    std::vector<std::string> names = request_.names;
    for (const auto& output : request_.outputs) {
      names.insert(names.end(), output.names.begin(), output.names.end());
    }
    caches_.emplace(*state_, *images_, std::move(imports), std::move(destinations), compression,
                    std::move(names));
  }

  SolveOptions solve_options(const BuildInput& input) {
    SolveOptions options;
    options.imports = caches_->imports();
    options.max_parallelism = request_.max_parallelism;
    options.secrets = request_.secrets;
    options.ssh = request_.ssh_sockets;
    options.remotes = remotes_;
    options.scans = scans_;
    options.rescans = rescans_ < kRescans;
    sys::make_dirs(stat_cache_dir(), 0700);
    options.locals["context"] = context_options(input);
    for (const auto& [name, value] : request_.lower.contexts) {
      if (is_image_context(value) || remote_context(value)) continue;
      const std::string directory = join_path(sys::current_directory(), value);
      const IgnoreRules ignore =
          with_context("--build-context " + name, [&] { return read_ignore_rules(directory); });
      options.locals[local_name(name)] = {.directory = directory,
                                          .name = "the context " + lade::quoted(name),
                                          .ignore_patterns = ignore.patterns,
                                          .ignore_file = ignore.file,
                                          .ignore_lines = ignore.lines,
                                          .cache_dir = stat_cache_dir()};
      auto& local = options.locals[local_name(name)];
      local.unsteady = unsteady_paths(local.name);
    }
    return options;
  }

  /// Of the context of that name, what changed between being hashed and copied in earlier rounds.
  std::set<std::string> unsteady_paths(const std::string& name) const {
    const auto found = unsteady_.find(name);
    return found == unsteady_.end() ? std::set<std::string>() : found->second;
  }

  std::string stat_cache_dir() const { return root_ + "/stat-cache"; }

  LocalSourceOptions context_options(const BuildInput& input) const {
    return {.directory = input.context,
            .name = input.context_name,
            .ignore_patterns = input.ignore.patterns,
            .ignore_file = input.ignore.file,
            .ignore_lines = input.ignore.lines,
            .cache_dir = input.spool ? input.context_cache : stat_cache_dir(),
            .unsteady = unsteady_paths(input.context_name)};
  }

  std::vector<SolveResult> solve(const Definition& graph, const std::vector<Edge>& roots,
                                 const BuildInput& input) {
    SolveOptions options = solve_options(input);
    options.on_layer = caches_->export_early(*state_, request_.outputs);
    if (!loop_) loop_.emplace();
    Solver solver(*state_, *loop_, executor_.get(), *images_, *progress_, std::move(options));
    const CancelScope cancelable(&*interrupts_, [&] { loop_->post([&] { solver.cancel(); }); });
    try {
      std::vector<SolveResult> solved = solver.solve(graph, roots);
      keep_log(input, solver.steps());
      if (caches_->has_exports()) records_ = solver.shared_records();
      mounts_ = solver.shared_mounts();
      return solved;
    } catch (const Error&) {
      keep_log(input, solver.steps());
      if (const auto* failure = solver.failure()) show_log_tail(*failure);
      throw;
    }
  }

  /// For `lade explain`, which compares builds of the same thing.
  void keep_log(const BuildInput& input, std::vector<StepLog> steps) {
    const bool is_local = !input.spool && !input.context.empty();
    const std::string context = is_local ? input.context : redact_url(request_.context);
    const std::string dockerfile = input.dockerfile->name;
    std::string identity = fmt::format("{}\n{}\n{}", context, dockerfile, request_.lower.target);
    for (const Platform& platform : request_.platforms) identity += "\n" + platform.str();
    keep_build_log(state_->root(), identity,
                   {fmt::format("{}, context {}", dockerfile, context), std::move(steps)});
  }

  /// What the failed step said last; with --quiet nobody has seen it yet, else it may be far up.
  static void show_log_tail(const SolveFailure& failure) {
    if (failure.log_tail.empty()) return;
    constexpr size_t kLines = 20;
    auto lines = split(failure.log_tail, '\n');
    if (lines.back().empty()) lines.pop_back();
    const size_t first = lines.size() > kLines ? lines.size() - kLines : 0;
    std::string out = fmt::format("------\n > {}:\n", elided(failure.vertex_name));
    for (size_t i = first; i < lines.size(); ++i) out += fmt::format("{}\n", last_state(lines[i]));
    out += "------\n";
    out = shown_on(STDERR_FILENO, std::move(out));
    std::fwrite(out.data(), 1, out.size(), stderr);
  }

  std::string root_;
  BuildRequest request_;
  const std::string build_id_ = sys::random_hex(16);
  const Timestamp started_ = Timestamp::now();
  std::optional<EventLoop> loop_;
  std::unique_ptr<Executor> executor_;  // ends, with all its sandboxes, before its loop
  std::optional<SshAgents> agents_;
  std::optional<Interrupts> interrupts_;
  std::unique_ptr<ProgressSink> progress_;
  std::unique_ptr<StateDir> state_;
  std::unique_ptr<ImageSources> images_;
  std::shared_ptr<RemoteSources> remotes_;
  std::optional<BuildCache> caches_;
  std::vector<SharedRecord> records_;  // for caches_
  std::map<std::string, LocalScan> scans_;
  int rescans_ = 0;
  std::map<std::string, std::set<std::string>> unsteady_;
  std::vector<SharedMount> mounts_;  // for caches_
  std::string unnamed_;              // ExportedBuild's
};

}  // namespace

void add_build_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<BuildFlags>();
  add_build_flags(command, *flags);
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return Build(globals, check_build_flags(*flags)).run(); };
  });
}

}  // namespace lade
