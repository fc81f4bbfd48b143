// `lade build`: parse, lower, solve, export.
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "app/build_input.hpp"
#include "app/build_options.hpp"
#include "app/commands.hpp"
#include "app/interrupts.hpp"
#include "app/progress.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "parser/parse.hpp"
#include "solver/solve.hpp"

namespace lade {
namespace {

constexpr std::string_view kImageScheme = "docker-image://";
constexpr std::string_view kLayoutScheme = "oci-layout://";

bool needs_blobs(const Output& output) {
  return output.type == OutputType::image || output.type == OutputType::oci ||
         output.type == OutputType::docker;
}

/// One run of `lade build`.
class Build {
 public:
  Build(const Globals& globals, BuildRequest request)
      : root_(StateDir::default_root(globals.root)), request_(std::move(request)) {}

  int run() {
    // Before anything starts a thread: the process that makes sandboxes is forked off this one.
    executor_ = Executor::create({});
    interrupts_.emplace();
    if (request_.outputs.empty() && !request_.names.empty()) request_.outputs.emplace_back();
    for (const auto& output : request_.outputs) check_destination(output);
    make_progress();

    // Parse.
    const BuildInput input = read_build_input(request_);
    const parser::Dockerfile dockerfile = parser::parse(input.dockerfile);

    // Lower: a graph and a config for the target. Asks registries for base images' configs.
    state_ = StateDir::open(root_);
    images_ = std::make_unique<ImageSources>(*state_, image_options());
    request_.lower.ignore_patterns = input.ignore_patterns;
    LoweredImage image = lower(dockerfile, request_.lower, *images_);
    for (const auto& warning : image.warnings) warn(warning);
    prepare_outputs(image);

    // Solve: run what is not cached.
    const SolveResult solved = solve(image, input);

    // Export.
    export_all(std::move(image), solved);
    state_->database().checkpoint_if_large();
    return 0;
  }

 private:
  void make_progress() {
    if (request_.quiet) {
      progress_ = std::make_unique<QuietProgress>(STDERR_FILENO);
    } else {
      progress_ = std::make_unique<PlainProgress>(STDERR_FILENO);
    }
  }

  ImageSourceOptions image_options() const {
    return {.pull = request_.pull, .client_directory = sys::current_directory()};
  }

  static void check_destination(const Output& output) {
    if (output.type == OutputType::image) return;
    const bool directory =
        output.type == OutputType::local || (output.type == OutputType::oci && !output.as_tar);
    if (directory) {
      check_output_directory(output.dest);
    } else {
      check_output_file(output.dest);
    }
  }

  void warn(const parser::Warning& warning) {
    progress_->warning(
        fmt::format("{}: {} ({})", warning.rule, warning.message, to_string(warning.range)));
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
    if (request_.outputs.empty()) {
      progress_->warning(
          "no output was asked for: the result stays in the build cache only (use -t or "
          "--output)");
    }
  }

  SolveOptions solve_options(const BuildInput& input) {
    SolveOptions options;
    options.max_parallelism = request_.max_parallelism;
    options.secrets = request_.secrets;
    const std::string cache_dir = state_->root() + "/stat-cache";
    sys::make_dirs(cache_dir, 0700);
    options.locals["context"] = {.directory = input.context,
                                 .name = "the build context",
                                 .ignore_patterns = input.ignore_patterns,
                                 .ignore_file = input.ignore_file,
                                 .cache_dir = cache_dir};
    for (const auto& [name, value] : request_.lower.contexts) {
      if (value.starts_with(kImageScheme) || value.starts_with(kLayoutScheme)) continue;
      options.locals[to_lower(name)] = {.directory = join_path(sys::current_directory(), value),
                                        .name = "the context " + lade::quoted(name),
                                        .ignore_patterns = {},
                                        .ignore_file = {},
                                        .cache_dir = cache_dir};
    }
    return options;
  }

  SolveResult solve(const LoweredImage& image, const BuildInput& input) {
    SolveOptions options = solve_options(input);
    for (const auto& output : request_.outputs) {
      if (!needs_blobs(output)) continue;
      // Layers are compressed while later steps run.
      options.on_layer = [this, made = output.image](LayerId layer) {
        make_layer_blob(*state_, layer, made, provider());
      };
      break;
    }
    export_number_ = static_cast<VertexNumber>(image.definition.vertices.size() + 1);
    EventLoop loop;
    // Ends, with all its sandboxes, before the loop that it reports to.
    const std::unique_ptr<Executor> executor = std::move(executor_);
    Solver solver(*state_, loop, executor.get(), *images_, *progress_, std::move(options));
    interrupts_->set_cancel([&] { loop.post([&] { solver.cancel(); }); });
    try {
      SolveResult solved = solver.solve(image.definition, image.root);
      interrupts_->set_cancel(nullptr);
      return solved;
    } catch (const Error&) {
      interrupts_->set_cancel(nullptr);
      if (const auto* failure = solver.failure()) show_log_tail(*failure);
      throw;
    }
  }

  /// What the failed step said last; with --quiet nobody has seen it yet, else it may be far up.
  static void show_log_tail(const SolveFailure& failure) {
    if (failure.log_tail.empty()) return;
    constexpr size_t kLines = 20;
    auto lines = split(failure.log_tail, '\n');
    if (lines.back().empty()) lines.pop_back();
    const size_t first = lines.size() > kLines ? lines.size() - kLines : 0;
    std::string out = fmt::format("------\n > {}:\n", failure.vertex_name);
    for (size_t i = first; i < lines.size(); ++i) out += lines[i] + "\n";
    out += "------\n";
    std::fwrite(out.data(), 1, out.size(), stderr);
  }

  LayerProvider provider() {
    return [this](LayerId layer) { return images_->provider_of(layer); };
  }

  void export_all(LoweredImage image, const SolveResult& solved) {
    if (request_.outputs.empty()) return;
    ImageSource source;
    source.layers = solved.layers;
    source.base_layers = image.config.diff_ids.size();
    source.config = std::move(image.config);
    if (!image.source_date_epoch) date_history(source, solved);
    source.provider = provider();
    for (const auto& output : request_.outputs) {
      progress_->declared(export_number_, export_name(output));
      progress_->started(export_number_);
      try {
        export_one(source, output);
      } catch (const Error& error) {
        progress_->failed(export_number_, error.message());
        throw;
      }
      progress_->completed(export_number_++);
    }
  }

  /// Without an epoch, an image is as old as its layers: a build that ran nothing gives the same
  /// image again.
  static void date_history(ImageSource& source, const SolveResult& solved) {
    size_t layer = 0;
    std::optional<Timestamp> last;
    for (auto& entry : source.config.history) {
      if (entry.created) last = entry.created;
      if (!entry.empty_layer && layer < source.layers.size()) {
        const auto made = solved.created.find(source.layers[layer++]);
        if (!entry.created && made != solved.created.end()) last = Timestamp{made->second, 0};
      }
      if (!entry.created) entry.created = last;
    }
    if (last) source.config.created = last;
  }

  static std::string export_name(const Output& output) {
    switch (output.type) {
      case OutputType::image:
        return "exporting to image";
      case OutputType::oci:
        return "exporting to oci image format";
      case OutputType::docker:
        return "exporting to docker image format";
      case OutputType::local:
        return "exporting to client directory";
      case OutputType::tar:
        return "exporting to client tarball";
    }
    return "exporting";
  }

  void export_one(const ImageSource& source, const Output& output) {
    if (output.type == OutputType::local) {
      export_local(*state_, source, output.dest, output.image.source_date_epoch);
    } else if (output.type == OutputType::tar) {
      export_rootfs_tar(*state_, source, output.dest, output.image.source_date_epoch);
    } else {
      export_image(source, output);
    }
  }

  void export_image(const ImageSource& source, const Output& output) {
    const WrittenImage written = write_image(*state_, source, output.image);
    if (output.type == OutputType::oci) {
      export_oci(*state_, written, {output.dest, output.as_tar, output.names});
    } else if (output.type == OutputType::docker) {
      export_docker(*state_, written, {output.dest, output.names});
    } else {
      for (const auto& name : output.names) state_->images().put(name, written.manifest);
    }
    uint64_t size = written.manifest.size + written.config.size;
    for (const auto& layer : written.layers) size += layer.size;
    const auto say = [&](const std::string& line) {
      progress_->status(export_number_, line, 0, 0);
    };
    say(fmt::format("manifest {}", written.manifest.digest.str()));
    say(fmt::format("config {}", written.config.digest.str()));
    say(fmt::format("{} layers, {:.2f} MB compressed", written.layers.size(),
                    static_cast<double>(size) / 1e6));
    for (const auto& name : output.names) say("naming to " + name);
    if (request_.quiet && output.dest != "-") fmt::print("{}\n", written.manifest.digest.str());
  }

  std::string root_;
  BuildRequest request_;
  std::unique_ptr<Executor> executor_;
  std::optional<Interrupts> interrupts_;
  std::unique_ptr<ProgressSink> progress_;
  std::unique_ptr<StateDir> state_;
  std::unique_ptr<ImageSources> images_;
  VertexNumber export_number_ = 0;
};

}  // namespace

void add_build_command(CLI::App& app, const Globals& globals, CommandAction& action) {
  auto* command = app.add_subcommand("build", "build an image from a Dockerfile");
  auto flags = std::make_shared<BuildFlags>();
  add_build_flags(*command, *flags);
  command->callback([flags, &globals, &action] {
    action = [flags, &globals] { return Build(globals, check_build_flags(*flags)).run(); };
  });
}

}  // namespace lade
