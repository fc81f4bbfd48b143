#include "daemon/build/exports.hpp"

#include <algorithm>
#include <charconv>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/stream.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "builder/attest/sbom.hpp"
#include "builder/build_cache.hpp"
#include "daemon/job/caches.hpp"
#include "exporter/joined_trees.hpp"
#include "snapshotter/content/reference.hpp"
#include "solver/lower/scan.hpp"

namespace lade {
namespace {

constexpr const char* kConfigKey = "containerimage.config";
constexpr const char* kExportStore = "export";
constexpr VertexNumber kFirstStep = 1;

/// Runs `write(path)` on a pipe whose other side is copied into `sink`.
template <class Write>
void write_through_pipe(ByteSink& sink, Write write) {
  sys::Pipe pipe = sys::pipe();
  std::exception_ptr failure;
  std::thread copier([&] {
    try {
      FdSource source(pipe.read.get());
      copy_stream(source, sink);
      sink.finish();
    } catch (...) {
      failure = std::current_exception();
    }
    // A writer that goes on finds nobody there.
    pipe.read = UniqueFd();
  });
  std::exception_ptr broken;
  try {
    write(fmt::format("/proc/self/fd/{}", pipe.write.get()));
  } catch (...) {
    broken = std::current_exception();
  }
  pipe.write = UniqueFd();
  copier.join();
  // What broke the pipe comes first.
  if (failure) std::rethrow_exception(failure);
  if (broken) std::rethrow_exception(broken);
}

ImageConfig empty_config(const Platform& platform) {
  ImageConfig out;
  out.platform = platform;
  out.config.env = {"PATH=" + std::string(kDefaultPath)};
  out.config.working_dir = "/";
  return out;
}

}  // namespace

ImageConfig config_of_frontend(const std::string& text) {
  auto json = parse_foreign_json(text);
  if (!json.is_object()) return ImageConfig::parse(text);
  auto& rootfs = json["rootfs"];
  if (rootfs.is_null()) rootfs = nlohmann::json::object();
  if (rootfs.is_object()) {
    auto& type = rootfs["type"];
    if (type.is_null() || type == std::string_view()) type = "layers";
    if (rootfs["diff_ids"].is_null()) rootfs["diff_ids"] = nlohmann::json::array();
  }
  return ImageConfig::parse(json.dump());
}

namespace {

class ResultExport {
 public:
  ResultExport(Job& job, const FrontendResult& result, const AttestedBuild& attested)
      : job_(job), result_(result), attested_(attested) {}

  ExportAnswer run(const std::vector<ExporterEntry>& exporters,
                   const std::vector<CacheEntry>& caches) {
    for (const auto& entry : exporters) {
      outputs_.push_back(output_of(entry.type, entry.attrs));
      prepare(outputs_.back(), entry.attrs.contains("source-date-epoch"));
    }
    for (bool done = false; !done;) {
      try {
        open_caches(caches);
        attempt();
        done = true;
      } catch (const LostLayer& lost) {
        if (!job_.distrust(lost)) throw;
        sources_.clear();
        cache_manifests_.clear();
        answer_ = {};
      }
    }
    return std::move(answer_);
  }

 private:
  void attempt() {
    solve();
    if (!outputs_.empty()) collect_sources();
    StepProgress progress(job_.journal(), job_.id());
    const VertexNumber at =
        export_each(outputs_, progress, kFirstStep, [&](size_t output, VertexNumber item) {
          job_.check_canceled();
          export_one(static_cast<int>(output), outputs_[output], progress, item);
        });
    caches_->export_all(job_.records(), job_.mounts(), progress, at);
    answer_caches();
  }

  bool is_index() const { return result_.multi_platform || result_.refs.size() > 1; }

  /// With `own_epoch` the output says itself which time it wants, or that it wants none.
  void prepare(Output& output, bool own_epoch) {
    for (auto& name : output.names) name = Reference::parse(name).str();
    add_annotations(output);
    std::optional<int64_t> epoch;
    for (const auto& [platform, ref] : result_.refs) {
      if (const auto given = epoch_of(platform)) epoch = given;
    }
    if (epoch && !output.image.source_date_epoch) {
      // An output that wants none leaves files as they are; the Dockerfile's is the image's still.
      const bool image = needs_blobs(output);
      if (own_epoch) output.image.rewrite_timestamp = false;
      if (!own_epoch || image) output.image.source_date_epoch = Timestamp{*epoch, 0};
    }
    // As in BuildKit: without a time (of a context that has none) nothing is rewritten.
    if (!output.image.source_date_epoch) output.image.rewrite_timestamp = false;
    if (is_index() && output.type == OutputType::docker && result_.refs.size() > 1) {
      throw Error("docker exporter does not currently support exporting manifest lists");
    }
    if (output.push && output.names.empty()) throw Error("what is pushed needs a name");
  }

  /// Those that the frontend has for its result; the output's own beat them.
  void add_annotations(Output& output) const {
    constexpr std::string_view kOfPlace = "annotation-";
    constexpr std::string_view kOfManifests = "annotation.";
    Annotations all;
    for (const auto& [key, value] : result_.metadata) {
      if (key.starts_with(kOfPlace)) all.add_attribute(key, value);
      if (key.starts_with(kOfManifests)) {
        output.image.annotations.try_emplace(key.substr(kOfManifests.size()), value);
      }
    }
    all.add_all(output.annotations);
    output.annotations = std::move(all);
  }

  void open_caches(const std::vector<CacheEntry>& entries) {
    CompressionOptions compression;
    for (const auto& output : outputs_) {
      if (needs_blobs(output)) compression = output.image.compression;
    }
    std::vector<CacheDestination> destinations;
    std::shared_ptr<RegistryClient> client;
    for (const auto& entry : entries) {
      auto opened = open_cache_export(entry, job_.has_session() ? &job_.session() : nullptr,
                                      job_.registries(), client);
      cache_manifests_.push_back(opened.manifest);
      destinations.push_back(std::move(opened.destination));
    }
    std::vector<std::string> names;
    for (const auto& output : outputs_) {
      names.insert(names.end(), output.names.begin(), output.names.end());
    }
    caches_.emplace(job_.state(), job_.images(), job_.cache_imports(), std::move(destinations),
                    compression, std::move(names));
  }

  /// Results that are no Dockerfile's are scanned, too, if that is asked for.
  void scan(JobRef& ref, const std::string& platform) {
    if (ref.scan || !attested_.options.sbom || outputs_.empty()) return;
    ScanTarget target;
    target.core = ref.root;
    target.platform = platform.empty() ? Platform::host().str() : platform;
    Definition graph = ref.definition;
    const Edge statements =
        add_scan(graph, job_.images(), *attested_.options.sbom, Platform::host(), target);
    ref.scan = job_.add_ref(ref.sibling(std::move(graph), statements));
  }

  void solve() {
    std::vector<std::shared_ptr<JobRef>> refs;
    for (const auto& [platform, ref] : result_.refs) {
      if (!ref) continue;
      refs.push_back(ref);
      scan(*ref, platform);
      if (ref->scan) refs.push_back(ref->scan);
    }
    job_.evaluate(refs, caches_->export_early(job_.state(), outputs_));
  }

  /// SOURCE_DATE_EPOCH, as the frontend (here or the client's) tells it.
  std::optional<int64_t> epoch_of(const std::string& platform) const {
    const std::string text = metadata("source.date.epoch", platform);
    if (text.empty()) return std::nullopt;
    int64_t seconds = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size()) {
      throw Error(fmt::format("source.date.epoch={} is not a number", lade::quoted(text)));
    }
    return seconds;
  }

  std::string metadata(const std::string& key, const std::string& platform) const {
    const auto found = result_.metadata.find(platform.empty() ? key : key + "/" + platform);
    return found == result_.metadata.end() ? "" : found->second;
  }

  void collect_sources() {
    const LayerProvider provider = job_.provider();
    for (const auto& [platform, ref] : result_.refs) {
      BuiltImage built;
      if (ref) built.solved = *ref->solved;
      const std::string config = metadata(kConfigKey, platform);
      if (ref && ref->image && (config.empty() || config == ref->image->config.serialize())) {
        built.lowered = *ref->image;
      } else {
        built.lowered.platform = platform.empty() ? Platform::host() : Platform::parse(platform);
        built.lowered.config =
            config.empty() ? empty_config(built.lowered.platform) : config_of_frontend(config);
        built.lowered.source_date_epoch = epoch_of(platform);
      }
      complete_history(built);
      built.inline_cache = caches_->inline_records(job_.records());
      if (ref && ref->scan) {
        built.attestations = sbom_attestations(job_.state(), ref->scan->solved->layers,
                                               built.solved.layers, provider);
      }
      if (ref) attest(*ref, built);
      sources_.push_back(image_source(std::move(built), provider));
    }
    if (result_.refs.empty()) {
      BuiltImage empty;
      empty.lowered.platform = Platform::host();
      empty.lowered.config = empty_config(empty.lowered.platform);
      sources_.push_back(image_source(std::move(empty), provider));
    }
  }

  /// The statements are made when outputs are written: they tell of layers.
  void attest(const JobRef& ref, BuiltImage& built) const {
    const auto& options = attested_.options.provenance;
    if (!options) return;
    ProvenanceFacts facts;
    facts.id = job_.id();
    facts.started = attested_.started;
    facts.pins = job_.pins();
    facts.environment = job_.shared().provenance_environment;
    facts.request = ref.request.value_or(ProvenanceRequest());
    if (ref.request && attested_.request.frontend.empty()) facts.root = attested_.request;
    if (ref.reads_dockerfile) facts.locals = {"context", "dockerfile"};
    built.attestations.push_back(
        {[options = *options, facts = std::move(facts), &ref](const WrittenImage* image) {
           return provenance(options, facts, ref.definition, ref.root, image);
         },
         options->file_name, options->inline_only});
  }

  /// Graphs that are no Dockerfile's come without a history.
  static void complete_history(BuiltImage& built) {
    auto& history = built.lowered.config.history;
    const auto is_layer = [](const HistoryEntry& entry) { return !entry.empty_layer; };
    auto have = static_cast<size_t>(std::count_if(history.begin(), history.end(), is_layer));
    for (; have < built.solved.layers.size(); ++have) {
      HistoryEntry entry;
      entry.comment = "buildkit.exporter.image.v0";
      history.push_back(std::move(entry));
    }
  }

  // -- outputs

  void export_one(int number, const Output& output, ProgressSink& progress, VertexNumber at) {
    switch (output.type) {
      case OutputType::local:
        return export_directories(number, output, progress, at);
      case OutputType::tar: {
        const auto sink = job_.session().send_file(number, {});
        write_through_pipe(*sink, [&](const std::string& path) {
          Output to_pipe = output;
          to_pipe.dest = path;
          export_tars(job_.state(), sources_, to_pipe, is_index());
        });
        return;
      }
      case OutputType::image:
      case OutputType::oci:
      case OutputType::docker:
        return export_images(number, output, progress, at);
    }
  }

  void export_directories(int number, const Output& output, ProgressSink& progress,
                          VertexNumber at) {
    const TreeSources sources(sources_, output, is_index());
    const JoinedTrees tree(job_.state(), sources.named(), output.image.source_date_epoch,
                           Timestamp::now());
    const auto open = [&](const Entry& entry) { return tree.open(entry); };
    const std::string item = "copying files";
    uint64_t told = 0;
    uint64_t sent = 0;
    job_.session().send_tree(number, {tree.entries(), open}, [&](uint64_t bytes) {
      constexpr uint64_t kStep = 1u << 20;
      sent = bytes;
      if (bytes < told + kStep) return;
      told = bytes;
      progress.status(at, item, bytes, bytes + 1);
    });
    progress.status(at, item, sent, 0);
  }

  void export_images(int number, const Output& output, ProgressSink& progress, VertexNumber at) {
    const WrittenSet set = write_images(job_.state(), sources_, output, is_index());
    say_images(progress, at, set);
    if (output.type == OutputType::oci && !output.as_tar) {
      store_blobs(set);
    } else if (output.type != OutputType::image) {
      send_archive(number, output, set, progress, at);
    }
    if (output.keeps_names()) {
      for (const auto& name : output.names) {
        job_.state().images().put(name, set.target, NamedBy::client);
      }
    }
    for (const auto& name : output.names) progress.status(at, "naming to " + name, 0, 0);
    if (output.push) push(output, set, progress, at);
    if (output.push && output.keeps_names()) {
      // What was left there can be had there.
      for (const auto& name : output.names) {
        job_.state().images().record_resolution(name, set.target);
      }
    }
    answer(output, set);
  }

  void send_archive(int number, const Output& output, const WrittenSet& set, ProgressSink& progress,
                    VertexNumber at) {
    std::map<std::string, std::string> about = {{"containerimage.digest", set.target.digest.str()}};
    if (!output.names.empty()) about["image.name"] = join(output.names, ",");
    const auto sink = job_.session().send_file(number, about);
    write_through_pipe(*sink, [&](const std::string& path) {
      if (output.type == OutputType::oci) {
        export_oci(job_.state(), set, {path, true, output.names});
      } else {
        export_docker(job_.state(), set, {path, output.names});
      }
    });
    progress.status(at, "sending tarball", 0, 0);
  }

  /// tar=false: the client has a layout whose blobs are written one by one.
  void store_blobs(const WrittenSet& set) {
    const auto store = job_.session().content(kExportStore, std::nullopt);
    const auto local = local_blobs(job_.state().content());
    const ImageDocuments documents = read_documents(job_.state(), set.target);
    for (const auto* list : {&documents.blobs, &documents.manifests}) {
      for (const auto& blob : *list) {
        job_.check_canceled();
        if (!store->has_blob(blob)) store->write_blob(blob, *local);
      }
    }
  }

  void push(const Output& output, const WrittenSet& set, ProgressSink& progress, VertexNumber at) {
    RegistryOptions registries = job_.registries();
    registries.insecure = output.insecure;
    const auto client = RegistryClient::create(std::move(registries));
    const PushSummary summary =
        push_images(job_.state(), *client, output, set, sources_,
                    [&](std::string_view item, uint64_t done, uint64_t total) {
                      progress.status(at, item, done, total);
                    });
    progress.status(at, to_string(summary), 0, 0);
  }

  void answer(const Output& output, const WrittenSet& set) {
    answer_.images.push_back(set.target);
    const auto fields = nlohmann::json::parse(image_metadata(set, output.names));
    for (const auto& [key, value] : fields.items()) {
      answer_.response[key] = value.is_string() ? value.get<std::string>() : base64(value.dump());
    }
  }

  void answer_caches() {
    for (const auto& manifest : cache_manifests_) {
      if (!*manifest) continue;
      const nlohmann::json json = {{"mediaType", (*manifest)->media_type},
                                   {"digest", (*manifest)->digest.str()},
                                   {"size", (*manifest)->size}};
      answer_.response["cache.manifest"] = json.dump();
    }
  }

  Job& job_;
  const FrontendResult& result_;
  const AttestedBuild& attested_;
  std::vector<Output> outputs_;
  std::vector<ImageSource> sources_;
  std::optional<BuildCache> caches_;
  std::vector<std::shared_ptr<std::optional<Descriptor>>> cache_manifests_;
  ExportAnswer answer_;
};

}  // namespace

ExportAnswer export_result(Job& job, const FrontendResult& result,
                           const std::vector<ExporterEntry>& exporters,
                           const std::vector<CacheEntry>& caches, const AttestedBuild& attested) {
  return ResultExport(job, result, attested).run(exporters, caches);
}

}  // namespace lade
