// `lade manifest`: indexes over images of this machine.
#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "app/image/commands.hpp"
#include "app/image/push.hpp"
#include "app/image/whole_image.hpp"
#include "app/ui/flags.hpp"
#include "base/error.hpp"
#include "exporter/exporter.hpp"
#include "snapshotter/content/reference.hpp"
#include "snapshotter/images/stored_image.hpp"

namespace lade {
namespace {

struct ManifestFlags {
  std::string name;
  std::vector<std::string> images;
  std::vector<std::string> annotations;
  std::string destination;
  bool docker_types = false;
  bool amend = false;
  bool all = false;
  bool purge = false;
  bool quiet = false;
};

std::map<std::string, std::string> read_annotations(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> out;
  for (const auto& text : texts) {
    auto [key, value] = key_value("--annotation", text);
    out[std::move(key)] = std::move(value);
  }
  return out;
}

/// The images of an image or index, each once.
void add_images(std::vector<WrittenImage>& images, const StoredImage& image) {
  for (const auto& one : image.manifests) {
    WrittenImage written{one.descriptor, one.manifest.config, one.manifest.layers, one.config};
    written.manifest.platform = one.config.platform;
    const bool known = std::any_of(images.begin(), images.end(), [&](const WrittenImage& other) {
      return other.manifest.digest == written.manifest.digest;
    });
    if (!known) images.push_back(std::move(written));
  }
}

/// What the index called `name` has so far goes before `images`, but for the same platforms.
void amend(StateDir& state, const Reference& name, std::vector<WrittenImage>& images) {
  if (!state.images().find(name.str())) return;
  std::vector<WrittenImage> all;
  add_images(all, find_stored_image(state.images(), state.content(), name.str()));
  std::erase_if(all, [&](const WrittenImage& old) {
    return std::any_of(images.begin(), images.end(), [&](const WrittenImage& image) {
      return image.manifest.platform == old.manifest.platform;
    });
  });
  all.insert(all.end(), images.begin(), images.end());
  images = std::move(all);
}

/// Whoever pulls an index gets one image for a platform: the other would be there for nobody.
void check_platforms(const std::vector<WrittenImage>& images) {
  for (auto image = images.begin(); image != images.end(); ++image) {
    const Platform platform = image->parsed_config.platform.normalized();
    const auto other = std::find_if(images.begin(), image, [&](const WrittenImage& before) {
      return before.parsed_config.platform.normalized() == platform;
    });
    if (other == image) continue;
    Error error(fmt::format("the images {} and {} are both for {}",
                            other->config.digest.hex().substr(0, 12),
                            image->config.digest.hex().substr(0, 12), platform.str()));
    error.set_hint("an index has one image per platform");
    throw error;
  }
}

int create(const Globals& globals, const ManifestFlags& flags) {
  const Reference name = parse_new_name(flags.name, "an index cannot be named by a digest");
  const auto annotations = read_annotations(flags.annotations);
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  for (const auto& text : flags.images) find_whole_image(*state, text);
  // One transaction, so that no image goes between being found and being part of a named index.
  state->database().transaction([&] {
    std::vector<WrittenImage> images;
    for (const auto& text : flags.images)
      add_images(images, find_stored_image(state->images(), state->content(), text));
    check_platforms(images);
    if (flags.amend) amend(*state, name, images);
    if (images.empty()) throw Error("there is nothing to put into the index");
    const WrittenSet set = write_index(*state, std::move(images), !flags.docker_types, annotations);
    state->images().put(name.str(), set.target);
    fmt::print("Created manifest list {}\n", name.str());
  });
  return 0;
}

int show(const Globals& globals, const std::string& text) {
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  const StoredImage image = find_stored_image(state->images(), state->content(), text);
  const std::string bytes = state->content().read_blob(image.target.digest);
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
  std::fputc('\n', stdout);
  return 0;
}

/// As an image, but of an index only: what was meant to have several platforms must not go out with
/// one.
int push_index(const Globals& globals, const ManifestFlags& flags) {
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  const StoredImage image = find_stored_image(state->images(), state->content(), flags.name);
  if (!image.index) {
    Error error(lade::quoted(flags.name) + " is not an index of images");
    error.set_hint("lade push takes single images");
    throw error;
  }
  const int code = push_stored_image(globals, flags.name, flags.destination, flags.quiet);
  if (code == 0 && flags.purge) {
    remove_image_names(state->images(), state->content(), state->layers(), image,
                       {Reference::parse(flags.name).str()});
  }
  return code;
}

/// Takes the names away; the images stay under their own.
int remove(const Globals& globals, const ManifestFlags& flags) {
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  for (const auto& text : flags.images) {
    const StoredImage image = find_stored_image(state->images(), state->content(), text);
    const auto name = name_called(image, text);
    if (!image.index || !name) {
      throw Error(lade::quoted(text) + " is not a name of an index of images",
                  ErrorKind::not_found);
    }
    remove_image_names(state->images(), state->content(), state->layers(), image, {*name});
    fmt::print("Untagged: {}\n", Reference::parse(*name).familiar());
  }
  return 0;
}

void add_push(CommandLine& command, const std::shared_ptr<ManifestFlags>& flags,
              const Globals& globals, CommandAction& action) {
  CommandLine& pushing =
      command.add_subcommand("push", "Bring an index and its images to a registry");
  pushing.add_option("NAME", flags->name, "Name of the index, NAME[:TAG]").required();
  pushing.add_option("DEST", flags->destination, "Name to push it to (default: NAME)");
  pushing.add_flag("--all", flags->all, "The images, too, which is what always happens");
  pushing.add_flag("-p,--purge,--rm", flags->purge, "Take the index's name away afterwards");
  pushing.add_flag("-q,--quiet", flags->quiet, "Print the name only");
  pushing.callback([flags, &globals, &action] {
    action = [flags, &globals] { return push_index(globals, *flags); };
  });
}

}  // namespace

void add_manifest_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<ManifestFlags>();
  CommandLine& creating =
      command.add_subcommand("create", "Make an index of images of this machine, and name it");
  creating.add_option("NAME", flags->name, "Name of the index, NAME[:TAG]").required();
  creating.add_option("IMAGE", flags->images, "Images, one per platform, or indexes").required();
  creating.add_list("--annotation", flags->annotations, "Annotation of the index, K=V");
  creating.add_flag("-a,--amend", flags->amend,
                    "Keep what the index of that name has, but for the same platforms");
  creating.add_flag("--docker-types", flags->docker_types,
                    "Docker's media type instead of the OCI's");
  creating.callback([flags, &globals, &action] {
    action = [flags, &globals] { return create(globals, *flags); };
  });
  CommandLine& showing =
      command.add_subcommand("inspect", "Print an image's manifest or index as it is");
  showing.add_option("IMAGE", flags->name, "Name, NAME@DIGEST or ID").required();
  showing.callback([flags, &globals, &action] {
    action = [flags, &globals] { return show(globals, flags->name); };
  });
  add_push(command, flags, globals, action);
  CommandLine& removing = command.add_subcommand("rm", "Take names of indexes away");
  removing.add_option("NAME", flags->images, "Names of indexes").required();
  removing.callback([flags, &globals, &action] {
    action = [flags, &globals] { return remove(globals, *flags); };
  });
}

}  // namespace lade
