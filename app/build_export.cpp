#include "app/build_export.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/image/engine.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "exporter/push.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

std::string export_name(const Output& output) {
  switch (output.type) {
    case OutputType::image:
      return output.push && !output.keeps_names() ? "exporting to registry" : "exporting to image";
    case OutputType::oci:
      return "exporting to oci image format";
    case OutputType::docker:
      return output.load ? "loading into the container engine" : "exporting to docker image format";
    case OutputType::local:
      return "exporting to client directory";
    case OutputType::tar:
      return "exporting to client tarball";
  }
  return "exporting";
}

/// Without an epoch, an image is as old as its layers: a build that ran nothing gives the same
/// image again.
void date_history(ImageSource& source, const SolveResult& solved) {
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
  // What stands before the first layer of an image from scratch is as old as that.
  auto& history = source.config.history;
  const auto first = std::find_if(history.begin(), history.end(), [](const HistoryEntry& entry) {
    return entry.created.has_value();
  });
  if (first != history.end()) {
    for (auto entry = history.begin(); entry != first; ++entry) entry->created = first->created;
  }
  if (last) source.config.created = last;
}

ImageSource image_source(BuiltImage built, const LayerProvider& provider) {
  ImageSource source;
  source.layers = built.solved.layers;
  source.base_layers = built.lowered.config.diff_ids.size();
  source.config = std::move(built.lowered.config);
  if (!built.lowered.source_date_epoch) date_history(source, built.solved);
  source.provider = provider;
  source.inline_cache = std::move(built.inline_cache);
  return source;
}

/// "linux/arm/v7" as the name of a directory.
std::string directory_of(const Platform& platform) {
  std::string name = platform.str();
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

class Export {
 public:
  Export(StateDir& state, ProgressSink& progress, const BuildRequest& request,
         const LayerProvider& provider, VertexNumber first)
      : state_(state), progress_(progress), request_(request), provider_(provider), at_(first) {}

  VertexNumber run(std::vector<BuiltImage> images) {
    for (auto& image : images) sources_.push_back(image_source(std::move(image), provider_));
    for (const auto& output : request_.outputs) {
      progress_.declared(at_, export_name(output));
      progress_.started(at_);
      try {
        export_one(output);
      } catch (const LostLayer&) {
        progress_.canceled(at_);  // the caller tries again
        throw;
      } catch (const Error& error) {
        progress_.failed(at_, error.message());
        throw;
      }
      progress_.completed(at_++);
    }
    if (written_) report();
    return at_;
  }

 private:
  bool is_index() const { return sources_.size() > 1 || request_.force_index; }

  void export_one(const Output& output) {
    if (output.type == OutputType::local) {
      export_directories(output);
    } else if (output.type == OutputType::tar) {
      export_tar(output);
    } else {
      export_images(output);
    }
  }

  void export_directories(const Output& output) {
    const bool split = output.platform_split.value_or(is_index());
    for (const auto& source : sources_) {
      const std::string dest =
          split ? output.dest + "/" + directory_of(source.config.platform) : output.dest;
      export_local(state_, source, dest, output.image.source_date_epoch);
    }
  }

  void export_tar(const Output& output) {
    if (!output.platform_split.value_or(is_index())) {
      if (sources_.size() > 1) {
        throw Error("platform-split=false: a tar has room for one platform's root only",
                    ErrorKind::usage);
      }
      export_rootfs_tar(state_, sources_.front(), output.dest, output.image.source_date_epoch);
      return;
    }
    std::vector<NamedSource> named;
    for (const auto& source : sources_) {
      named.push_back({directory_of(source.config.platform), &source});
    }
    export_rootfs_tar(state_, named, output.dest, output.image.source_date_epoch);
  }

  WrittenSet write_images(const Output& output) {
    std::vector<WrittenImage> images;
    for (const auto& source : sources_) {
      const std::string platform = source.config.platform.str();
      ImageOptions options = output.image;
      options.leave_remote = output.push && !output.keeps_names();
      for (const auto& [key, value] : output.annotations.of(AnnotationPlace::manifest, platform)) {
        options.annotations[key] = value;
      }
      WrittenImage image = write_image(state_, source, options);
      image.manifest.annotations =
          output.annotations.of(AnnotationPlace::manifest_descriptor, platform);
      images.push_back(std::move(image));
    }
    if (!is_index()) return std::move(images.front());
    WrittenSet set = write_index(state_, std::move(images), output.image.oci_media_types,
                                 output.annotations.of(AnnotationPlace::index, ""));
    set.target.annotations = output.annotations.of(AnnotationPlace::index_descriptor, "");
    return set;
  }

  void export_images(const Output& output) {
    WrittenSet set = write_images(output);
    if (output.type == OutputType::oci) {
      export_oci(state_, set, {output.dest, output.as_tar, output.names});
    } else if (output.load) {
      const std::string where = hand_to_engine(state_, {set, output.names, {}});
      progress_.status(at_, "loaded into " + where, 0, 0);
    } else if (output.type == OutputType::docker) {
      export_docker(state_, set, {output.dest, output.names});
    }
    for (const auto& image : set.images) say_image(image);
    if (set.index) progress_.status(at_, "manifest list " + set.index->str(), 0, 0);
    if (output.keeps_names()) {
      for (const auto& name : output.names) {
        state_.images().put(Reference::parse(name).str(), set.target);
      }
    }
    if (!output.push || output.keeps_names()) {
      for (const auto& name : output.names) progress_.status(at_, "naming to " + name, 0, 0);
    }
    if (output.push) push(output, set);
    names_ = output.names;
    to_stdout_ = to_stdout_ || output.dest == "-";
    written_ = std::move(set);
  }

  void push(const Output& output, const WrittenSet& set) {
    std::map<Digest, LayerId> layers;
    for (size_t i = 0; i < set.images.size(); ++i) {
      const auto& blobs = set.images[i].layers;
      for (size_t j = 0; j < blobs.size(); ++j) {
        layers.emplace(blobs[j].digest, sources_[i].layers[j]);
      }
    }
    const auto base_of = [&](const Descriptor& blob) -> std::shared_ptr<BlobProvider> {
      const auto layer = layers.find(blob.digest);
      return layer == layers.end() ? nullptr : provider_(layer->second);
    };
    PushRequest request;
    request.names = output.names;
    request.by_digest = output.push_by_digest;
    request.provider = base_of;
    request.sources = [&](const Descriptor& blob) {
      const auto provider = base_of(blob);
      const auto repository = provider ? repository_of(*provider) : std::nullopt;
      return repository ? std::vector{*repository} : std::vector<Reference>{};
    };
    request.progress = [this](std::string_view item, uint64_t done, uint64_t total) {
      progress_.status(at_, item, done, total);
    };
    const auto client = RegistryClient::create({.insecure = output.insecure});
    const PushSummary summary = push_image(state_, *client, set.target, request);
    progress_.status(at_, to_string(summary), 0, 0);
  }

  void say_image(const WrittenImage& image) {
    uint64_t size = image.manifest.size + image.config.size;
    for (const auto& layer : image.layers) size += layer.size;
    progress_.status(at_, "manifest " + image.manifest.digest.str(), 0, 0);
    progress_.status(at_, "config " + image.config.digest.str(), 0, 0);
    progress_.status(at_,
                     fmt::format("{} layers, {:.2f} MB compressed", image.layers.size(),
                                 static_cast<double>(size) / 1e6),
                     0, 0);
    if (image.inline_cache) {
      progress_.status(at_, fmt::format("inline cache of {} steps", *image.inline_cache), 0, 0);
    }
  }

  /// As docker: an image's ID is its config's digest; an index has its own.
  std::string image_id() const {
    return (written_->index ? written_->target : written_->images.front().config).digest.str();
  }

  void report() {
    if (!request_.iidfile.empty()) sys::write_file_atomically(request_.iidfile, image_id());
    if (!request_.metadata_file.empty()) {
      sys::write_file_atomically(request_.metadata_file, metadata() + "\n");
    }
    if (request_.quiet && !to_stdout_) fmt::print("{}\n", image_id());
  }

  std::string metadata() const {
    nlohmann::json out = nlohmann::json::object();
    if (!written_->index) {
      out["containerimage.config.digest"] = written_->images.front().config.digest.str();
    }
    const Descriptor& target = written_->target;
    auto& descriptor = out["containerimage.descriptor"];
    descriptor = {
        {"mediaType", target.media_type}, {"digest", target.digest.str()}, {"size", target.size}};
    if (!target.annotations.empty()) descriptor["annotations"] = target.annotations;
    if (target.platform) {
      descriptor["platform"] = {{"architecture", target.platform->architecture},
                                {"os", target.platform->os}};
      if (!target.platform->variant.empty()) {
        descriptor["platform"]["variant"] = target.platform->variant;
      }
    }
    out["containerimage.digest"] = target.digest.str();
    if (!names_.empty()) out["image.name"] = join(names_, ",");
    return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  StateDir& state_;
  ProgressSink& progress_;
  const BuildRequest& request_;
  const LayerProvider& provider_;
  VertexNumber at_;
  std::vector<ImageSource> sources_;
  std::optional<WrittenSet> written_;  // by the last output that is an image
  std::vector<std::string> names_;
  bool to_stdout_ = false;
};

}  // namespace

bool needs_blobs(const Output& output) {
  return output.type == OutputType::image || output.type == OutputType::oci ||
         output.type == OutputType::docker;
}

void check_destinations(const std::vector<Output>& outputs) {
  for (const auto& output : outputs) {
    if (output.type == OutputType::image || output.load) continue;
    if (output.type == OutputType::local || (output.type == OutputType::oci && !output.as_tar)) {
      check_output_directory(output.dest);
    } else {
      check_output_file(output.dest);
    }
  }
}

VertexNumber export_build(StateDir& state, ProgressSink& progress, const BuildRequest& request,
                          std::vector<BuiltImage> images, const LayerProvider& provider,
                          VertexNumber first) {
  return Export(state, progress, request, provider, first).run(std::move(images));
}

}  // namespace lade
