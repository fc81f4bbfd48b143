// `lade push`: an image that is here to a registry.
#include "exporter/push.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include "app/image/commands.hpp"
#include "app/image/push.hpp"
#include "app/ui/flags.hpp"
#include "app/ui/interrupts.hpp"
#include "app/ui/progress.hpp"
#include "base/error.hpp"
#include "builder/options/output.hpp"
#include "snapshotter/content/manifest.hpp"
#include "snapshotter/content/reference.hpp"
#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/state.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxIndex = 4u << 20;
constexpr VertexNumber kPushVertex = 1;
/// What BuildKit calls the image that an attestation in the same index is of.
constexpr char kReferenceDigest[] = "vnd.docker.reference.digest";

constexpr const char* kNoDigest = "an image is pushed to a tag, not to a digest";

struct PushFlags {
  std::string name;
  std::string destination;
  bool all_tags = false;
  bool quiet = false;
};

/// Asks several places one after the other.
class FirstOf : public BlobProvider {
 public:
  explicit FirstOf(std::vector<std::shared_ptr<BlobProvider>> places)
      : places_(std::move(places)) {}

  std::unique_ptr<ByteSource> open(const Descriptor& blob) override {
    for (size_t i = 0; i + 1 < places_.size(); ++i) {
      try {
        return places_[i]->open(blob);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::canceled) throw;
      }
    }
    return places_.back()->open(blob);
  }
  std::string where() const override { return places_.front()->where(); }

 private:
  std::vector<std::shared_ptr<BlobProvider>> places_;
};

class PushCommand {
 public:
  PushCommand(const Globals& globals, const PushFlags& flags)
      : quiet_(flags.quiet),
        name_(parse_new_name(flags.name, kNoDigest)),
        destination_(flags.destination.empty() ? name_
                                               : parse_new_name(flags.destination, kNoDigest)),
        state_(StateDir::open(StateDir::default_root(globals.root))),
        client_(RegistryClient::create()) {
    progress_ = make_progress(quiet_ ? ProgressMode::quiet : ProgressMode::plain);
  }

  int run() {
    const Interrupts interrupts;
    const auto image = state_->images().find(name_.str());
    if (!image) {
      throw Error(fmt::format("image {} is not on this machine", lade::quoted(name_.familiar())),
                  ErrorKind::not_found);
    }
    const Descriptor target = what_is_here(image->target);
    progress_->declared(kPushVertex, "pushing " + destination_.str());
    progress_->started(kPushVertex);
    try {
      progress_->status(kPushVertex, to_string(push(target)), 0, 0);
    } catch (const Error& error) {
      progress_->failed(kPushVertex, error.message());
      throw;
    }
    progress_->completed(kPushVertex);
    if (quiet_) {
      fmt::print("{}\n", destination_.str());
    } else {
      fmt::print("{}: digest: {} size: {}\n", destination_.familiar(), target.digest.str(),
                 target.size);
    }
    return 0;
  }

 private:
  PushSummary push(const Descriptor& target) {
    const auto origin = std::make_shared<FirstOf>(origins());
    const auto known = repositories();
    PushRequest request;
    request.names = {destination_.str()};
    // A base's layer may have been left where the image came from.
    request.provider = [&](const Descriptor&) { return origin; };
    request.sources = [&](const Descriptor& blob) {
      const auto found = known.find(blob.digest);
      return found == known.end() ? std::vector<Reference>{} : found->second;
    };
    request.progress = [this](std::string_view item, uint64_t done, uint64_t total) {
      progress_->status(kPushVertex, item, done, total);
    };
    return push_image(*state_, *client_, target, request);
  }

  /// Which other repositories of the destination's registry have which blobs, as far as the images
  /// here tell.
  std::map<Digest, std::vector<Reference>> repositories() {
    std::map<Digest, std::vector<Reference>> out;
    std::set<std::pair<std::string, Digest>> seen;
    std::vector<ImageName> images = state_->images().list();
    const std::vector<ImageName> bases = state_->images().list_resolutions();
    images.insert(images.end(), bases.begin(), bases.end());
    for (const auto& image : images) {
      if (is_unnamed(image.name)) continue;
      const Reference name = Reference::parse(image.name);
      if (name.registry != destination_.registry || name.repository == destination_.repository ||
          !seen.emplace(name.repository, image.target.digest).second) {
        continue;
      }
      try {
        for (const auto& blob : read_documents(*state_, image.target).blobs) {
          out[blob.digest].push_back(name);
        }
      } catch (const Error&) {
        // Not all of it is here: it can do without.
      }
    }
    return out;
  }

  /// Where what is not here may be: the image's own repository first, then those of its other
  /// names.
  std::vector<std::shared_ptr<BlobProvider>> origins() {
    std::vector<std::shared_ptr<BlobProvider>> out = {client_->blobs(name_)};
    const auto image = state_->images().find(name_.str());
    for (const auto& other : state_->images().list()) {
      if (!image || is_unnamed(other.name) || other.target.digest != image->target.digest) continue;
      const Reference name = Reference::parse(other.name);
      if (name.name() != name_.name()) out.push_back(client_->blobs(name));
    }
    return out;
  }

  bool is_here(const Descriptor& manifest) {
    const ContentStore& content = state_->content();
    if (!content.has(manifest.digest)) return false;
    const auto blobs = read_documents(*state_, manifest).blobs;
    return std::all_of(blobs.begin(), blobs.end(),
                       [&](const Descriptor& blob) { return content.has(blob.digest); });
  }

  /// The image itself, or, of an index of which some images are not here, an index of the others.
  Descriptor what_is_here(const Descriptor& target) {
    if (!media_type::is_index(target.media_type)) return target;
    Index index =
        Index::parse(state_->content().read_blob(target.digest, kMaxIndex), target.media_type);
    const size_t all = index.manifests.size();
    std::set<std::string> gone;
    std::erase_if(index.manifests, [&](const Descriptor& manifest) {
      if (is_here(manifest)) return false;
      gone.insert(manifest.digest.str());
      return true;
    });
    std::erase_if(index.manifests, [&](const Descriptor& manifest) {
      const auto of = manifest.annotations.find(kReferenceDigest);
      return of != manifest.annotations.end() && gone.contains(of->second);
    });
    if (index.manifests.size() == all) return target;
    if (index.manifests.empty()) {
      Error error(fmt::format("no platform of {} is here whole", lade::quoted(name_.familiar())),
                  ErrorKind::not_found);
      error.set_hint("bring it here with lade pull");
      throw error;
    }
    progress_->warning(
        fmt::format("{} of the {} images in {} are here: what is pushed is an index of them alone",
                    index.manifests.size(), all, lade::quoted(name_.familiar())));
    return state_->content().put(index.serialize(), target.media_type);
  }

  bool quiet_;
  Reference name_;
  Reference destination_;
  std::unique_ptr<StateDir> state_;
  std::unique_ptr<RegistryClient> client_;
  std::unique_ptr<ProgressSink> progress_;
};

}  // namespace

int push_stored_image(const Globals& globals, const std::string& name,
                      const std::string& destination, bool quiet) {
  return PushCommand(globals, {name, destination, false, quiet}).run();
}

namespace {

/// Each name that an image of the repository has here.
int push_all_tags(const Globals& globals, const PushFlags& flags) {
  if (has_tag(flags.name)) throw_usage("--all-tags: the name must have no tag");
  if (!flags.destination.empty()) throw_usage("--all-tags: the names are those that are here");
  const Reference repository = parse_new_name(flags.name, kNoDigest);
  const auto images = StateDir::open(StateDir::default_root(globals.root))->images().list();
  bool any = false;
  for (const auto& image : images) {
    if (is_unnamed(image.name) || Reference::parse(image.name).name() != repository.name())
      continue;
    push_stored_image(globals, image.name, "", flags.quiet);
    any = true;
  }
  if (!any) {
    throw Error(fmt::format("no image of {} is on this machine", lade::quoted(flags.name)),
                ErrorKind::not_found);
  }
  return 0;
}

}  // namespace

void add_push_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<PushFlags>();
  command.add_option("NAME", flags->name, "Name of the image, NAME[:TAG]").required();
  command.add_option("DEST", flags->destination, "Name to push it to (default: NAME)");
  command.add_flag("-a,--all-tags", flags->all_tags, "Every tag that NAME has here");
  command.add_flag("-q,--quiet", flags->quiet, "Print the name only");
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] {
      if (flags->all_tags) return push_all_tags(globals, *flags);
      return push_stored_image(globals, flags->name, flags->destination, flags->quiet);
    };
  });
}

}  // namespace lade
