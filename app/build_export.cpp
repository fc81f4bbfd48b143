#include "app/build_export.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "app/image/engine.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

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
    say_images(progress_, at_, set);
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

  void report() {
    if (!request_.iidfile.empty())
      sys::write_file_atomically(request_.iidfile, image_id_of(*written_).str());
    if (!request_.metadata_file.empty()) {
      sys::write_file_atomically(request_.metadata_file, image_metadata(*written_, names_) + "\n");
    }
    if (request_.quiet() && !to_stdout_) fmt::print("{}\n", image_id_of(*written_).str());
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
