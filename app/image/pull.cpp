// `lade pull`: an image of a registry with its layers, unpacked and named here.
#include <cstdio>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include "app/image/commands.hpp"
#include "app/ui/flags.hpp"
#include "app/ui/interrupts.hpp"
#include "app/ui/progress.hpp"
#include "base/error.hpp"
#include "exporter/fetchers.hpp"
#include "snapshotter/content/manifest.hpp"
#include "snapshotter/content/reference.hpp"
#include "snapshotter/state.hpp"
#include "solver/source/image.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxDocument = 4u << 20;
constexpr std::string_view kScheme = "docker-image://";
constexpr VertexNumber kPullVertex = 1;

struct PullFlags {
  std::string name;
  std::string platform;
  bool all_platforms = false;
  bool quiet = false;
};

class Pull {
 public:
  Pull(const Globals& globals, const PullFlags& flags)
      : flags_(flags),
        name_(parse_image_argument(flags.name)),
        state_(StateDir::open(StateDir::default_root(globals.root))),
        images_(*state_, {.pull = PullPolicy::always, .client_directory = {}}) {
    progress_ = make_progress(flags.quiet ? ProgressMode::quiet : ProgressMode::plain);
  }

  int run() {
    const Interrupts interrupts;
    const auto before = state_->images().find(name_.str());
    progress_->declared(kPullVertex, "pulling " + name_.str());
    progress_->started(kPullVertex);
    try {
      fetch();
    } catch (const Error& error) {
      progress_->failed(kPullVertex, error.message());
      throw;
    }
    progress_->completed(kPullVertex);
    const auto target = state_->images().resolution(name_.str());
    state_->images().put(name_.str(), *target);
    if (!flags_.quiet) {
      fmt::print("Digest: {}\n", target->digest.str());
      const bool same = before && before->target.digest == target->digest;
      fmt::print("Status: {} for {}\n", same ? "Image is up to date" : "Downloaded newer image",
                 name_.familiar());
    }
    fmt::print("{}\n", name_.str());
    return 0;
  }

 private:
  /// A layer to be unpacked, and the blob that the image has it in.
  struct Wanted {
    LayerStack stack;  ///< it is the last
    Descriptor blob;
    std::shared_ptr<BlobProvider> provider;
  };

  void fetch() {
    std::vector<Wanted> wanted;
    for (const auto& platform : platforms()) add(platform, wanted);
    Fetchers threads(wanted.size(), [&](size_t i) { unpack(wanted[i]); });
    threads.join();
  }

  std::vector<Platform> platforms() {
    const Platform one =
        flags_.platform.empty() ? Platform::host() : Platform::parse(flags_.platform);
    if (!flags_.all_platforms) return {one};
    const auto client = RegistryClient::create();
    const RemoteManifest top = client->fetch_manifest(name_);
    if (!media_type::is_index(top.descriptor.media_type)) return {one};
    std::vector<Platform> out;
    for (const auto& image : Index::parse(top.bytes, top.descriptor.media_type).manifests) {
      // Attestations are "unknown/unknown".
      if (image.platform && image.platform->os != "unknown") out.push_back(*image.platform);
    }
    return out;
  }

  void add(const Platform& platform, std::vector<Wanted>& wanted) {
    const BaseImage base = images_.resolve(std::string(kScheme) + name_.str(), platform);
    const Platform has = base.config.platform.normalized();
    if (!flags_.platform.empty() && !platform.accepts(has)) {
      throw Error(fmt::format("{} has no image for {}; it has {}", name_.familiar(), platform.str(),
                              has.str()),
                  ErrorKind::not_found);
    }
    const ResolvedImage image = images_.resolved(base.identifier);
    const auto digest = Reference::parse(base.identifier.substr(kScheme.size())).digest;
    const Manifest manifest =
        Manifest::parse(state_->content().read_blob(*digest, kMaxDocument), "");
    LayerStack stack;
    for (size_t i = 0; i < image.layers.size(); ++i) {
      stack.push_back(image.layers[i]);
      if (seen_.insert(manifest.layers[i].digest).second) {
        wanted.push_back({stack, manifest.layers[i], image.provider});
      }
    }
  }

  void unpack(const Wanted& wanted) {
    const std::string item = wanted.blob.digest.str();
    const auto progress = [&](uint64_t done, uint64_t total) {
      progress_->status(kPullVertex, item, done, total);
    };
    LayerStack below = wanted.stack;
    below.pop_back();
    LayerStore& layers = state_->layers();
    layers.ensure_directory(wanted.stack.back(), *wanted.provider, progress, below);
    // A layer that was here in another form may lack the blob that this image names.
    layers.ensure_blob(wanted.blob, *wanted.provider, progress);
  }

  PullFlags flags_;
  Reference name_;
  std::unique_ptr<StateDir> state_;
  ImageSources images_;
  std::unique_ptr<ProgressSink> progress_;
  std::set<Digest> seen_;
};

}  // namespace

void add_pull_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<PullFlags>();
  command.add_option("NAME", flags->name, "Name of the image, NAME[:TAG|@DIGEST]").required();
  const auto platform = command.add_option("--platform", flags->platform,
                                           "Platform of the image (default: this machine's)");
  command.add_flag("--all-platforms", flags->all_platforms, "Every platform that the image has")
      .excludes(platform);
  command.add_flag("-q,--quiet", flags->quiet, "Print the image's name only");
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return Pull(globals, *flags).run(); };
  });
}

}  // namespace lade
