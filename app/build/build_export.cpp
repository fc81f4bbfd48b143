#include "app/build/build_export.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/image/engine.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/content/reference.hpp"
#include "snapshotter/images/stored_image.hpp"

namespace lade {
namespace {

/// Or a link to one; nothing that is there for more than this build (/dev/stdout, a pipe).
bool is_file(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

void write_report(const std::string& path, const std::string& text) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode)) {
    sys::write_file_atomically(path, text);
    return;
  }
  sys::write_all(sys::open(path, O_WRONLY).get(), text);
}

class Export {
 public:
  Export(StateDir& state, ProgressSink& progress, const BuildRequest& request,
         const LayerProvider& provider, VertexNumber first)
      : state_(state), progress_(progress), request_(request), provider_(provider), at_(first) {}

  ExportedBuild run(std::vector<BuiltImage> images) {
    for (auto& image : images) sources_.push_back(image_source(std::move(image), provider_));
    at_ = export_each(request_.outputs, progress_, at_, [&](size_t output, VertexNumber at) {
      at_ = at;
      export_one(request_.outputs[output]);
    });
    report();
    return {at_, unnamed_};
  }

 private:
  bool is_index() const { return sources_.size() > 1 || request_.force_index; }

  void export_one(const Output& output) {
    if (output.type == OutputType::local) {
      export_directories(output);
    } else if (output.type == OutputType::tar) {
      export_tars(state_, sources_, output, is_index());
    } else {
      export_images(output);
    }
  }

  void export_directories(const Output& output) {
    const TreeSources trees(sources_, output, is_index());
    export_local(state_, trees.named(), output.dest, output.image.source_date_epoch);
  }

  void export_images(const Output& output) {
    WrittenSet set = write_images(state_, sources_, output, is_index());
    if (output.type == OutputType::oci) {
      export_oci(state_, set, {output.dest, output.as_tar, output.names});
    } else if (output.load) {
      const std::string where = hand_to_engine(state_, {set, output.names, {}});
      progress_.status(at_, "loaded into " + where, 0, 0);
    } else if (output.type == OutputType::docker) {
      export_docker(state_, set, {output.dest, output.names});
    }
    if (!output.image.lazy) say_images(progress_, at_, set);
    if (output.keeps_names()) keep(output, set);
    if (!output.push || output.keeps_names()) {
      for (const auto& name : output.names) progress_.status(at_, "naming to " + name, 0, 0);
    }
    if (output.push) push(output, set);
    // What was left there can be had there.
    if (output.push && output.keeps_names()) remember_places(output, set);
    names_ = output.names;
    to_stdout_ = to_stdout_ || output.dest == "-";
    written_ = std::move(set);
  }

  void push(const Output& output, const WrittenSet& set) {
    RegistryOptions registries;
    registries.insecure = output.insecure;
    const auto client = RegistryClient::create(std::move(registries));
    const PushSummary summary =
        push_images(state_, *client, output, set, sources_,
                    [this](std::string_view item, uint64_t done, uint64_t total) {
                      progress_.status(at_, item, done, total);
                    });
    progress_.status(at_, to_string(summary), 0, 0);
  }

  /// Gives the image its names, or, if it has none, what it is kept and found by.
  void keep(const Output& output, WrittenSet& set) {
    progress_.status(at_, "writing image " + image_id_of(set).str(), 0, 0);
    const std::string unnamed = unnamed_image(image_id_of(set));
    const auto known = state_.images().find(unnamed);
    for (const auto& name : output.names) {
      state_.images().put(Reference::parse(name).str(), set.target);
    }
    if (!output.names.empty()) {
      if (known) state_.images().remove(unnamed);
      return;
    }
    unnamed_ = unnamed;
    // The same image may be here already, perhaps with a name, or with all its blobs.
    if (known && state_.content().has(known->target.digest)) return;
    if (auto name = state_.images().name_of(set.target.digest)) {
      unnamed_ = std::move(*name);
    } else {
      state_.images().put(unnamed, set.target);
    }
    // Until now others could remove what a lazy one found here.
    if (output.image.lazy && !is_here(set))
      set = write_images(state_, sources_, output, is_index());
  }

  bool is_here(const WrittenSet& set) const {
    const auto& content = state_.content();
    return content.has(set.target.digest) &&
           std::all_of(set.images.begin(), set.images.end(), [&](const WrittenImage& image) {
             return content.has(image.manifest.digest) && content.has(image.config.digest);
           });
  }

  void remember_places(const Output& output, const WrittenSet& set) {
    for (const auto& name : output.names) {
      state_.images().record_resolution(Reference::parse(name).str(), set.target);
    }
  }

  /// For outputs without an image, as docker: an empty ID, and a description of nothing.
  void report() {
    const std::string id = written_ ? image_id_of(*written_).str() : "";
    if (!request_.iidfile.empty()) write_report(request_.iidfile, id);
    if (!request_.metadata_file.empty()) {
      write_report(request_.metadata_file,
                   (written_ ? image_metadata(*written_, names_) : "{}") + "\n");
    }
    if (request_.quiet() && written_ && !to_stdout_) fmt::print("{}\n", id);
  }

  StateDir& state_;
  ProgressSink& progress_;
  const BuildRequest& request_;
  const LayerProvider& provider_;
  VertexNumber at_;
  std::vector<ImageSource> sources_;
  std::optional<WrittenSet> written_;  // by the last output that is an image
  std::vector<std::string> names_;
  std::string unnamed_;
  bool to_stdout_ = false;
};

}  // namespace

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

void remove_stale_reports(const BuildRequest& request) {
  for (const auto& path : {request.iidfile, request.metadata_file}) {
    if (path.empty() || !is_file(path)) continue;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      throw_errno("could not remove " + lade::quoted(path));
    }
  }
}

ExportedBuild export_build(StateDir& state, ProgressSink& progress, const BuildRequest& request,
                           std::vector<BuiltImage> images, const LayerProvider& provider,
                           VertexNumber first) {
  return Export(state, progress, request, provider, first).run(std::move(images));
}

}  // namespace lade
