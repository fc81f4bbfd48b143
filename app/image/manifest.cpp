// `lade manifest`: indexes over images of this machine.
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands.hpp"
#include "app/flags.hpp"
#include "base/error.hpp"
#include "exporter/exporter.hpp"
#include "snapshotter/content/reference.hpp"
#include "snapshotter/stored_image.hpp"

namespace lade {
namespace {

struct ManifestFlags {
  std::string name;
  std::vector<std::string> images;
  std::vector<std::string> annotations;
  bool docker_types = false;
};

std::map<std::string, std::string> read_annotations(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> out;
  for (const auto& text : texts) {
    auto [key, value] = key_value("--annotation", text);
    out[std::move(key)] = std::move(value);
  }
  return out;
}

int create(const Globals& globals, const ManifestFlags& flags) {
  const Reference name = parse_new_name(flags.name, "an index cannot be named by a digest");
  const auto annotations = read_annotations(flags.annotations);
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  // One transaction, so that no image goes between being found and being part of a named index.
  state->database().transaction([&] {
    std::vector<WrittenImage> images;
    for (const auto& text : flags.images) {
      const StoredImage image = find_stored_image(*state, text);
      for (const auto& one : image.manifests) {
        WrittenImage written{one.descriptor, one.manifest.config, one.manifest.layers, one.config};
        written.manifest.platform = one.config.platform;
        const bool known =
            std::any_of(images.begin(), images.end(), [&](const WrittenImage& other) {
              return other.manifest.digest == written.manifest.digest;
            });
        if (!known) images.push_back(std::move(written));
      }
    }
    if (images.empty()) throw Error("there is nothing to put into the index");
    const WrittenSet set = write_index(*state, std::move(images), !flags.docker_types, annotations);
    state->images().put(name.str(), set.target);
    fmt::print("Created manifest list {}\n", name.str());
  });
  return 0;
}

int show(const Globals& globals, const std::string& text) {
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  const StoredImage image = find_stored_image(*state, text);
  const std::string bytes = state->content().read_blob(image.target.digest);
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
  std::fputc('\n', stdout);
  return 0;
}

}  // namespace

void add_manifest_command(CLI::App& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<ManifestFlags>();
  command.require_subcommand(1);
  auto* creating =
      command.add_subcommand("create", "Make an index of images of this machine, and name it");
  creating->add_option("NAME", flags->name, "Name of the index, NAME[:TAG]")->required();
  creating->add_option("IMAGE", flags->images, "Images, one per platform, or indexes")->required();
  add_list(*creating, "--annotation", flags->annotations, "Annotation of the index, K=V");
  creating->add_flag("--docker-types", flags->docker_types,
                     "Docker's media type instead of the OCI's");
  creating->callback([flags, &globals, &action] {
    action = [flags, &globals] { return create(globals, *flags); };
  });
  auto* showing = command.add_subcommand("inspect", "Print an image's manifest or index as it is");
  showing->add_option("IMAGE", flags->name, "Name, NAME@DIGEST or ID")->required();
  showing->callback([flags, &globals, &action] {
    action = [flags, &globals] { return show(globals, flags->name); };
  });
}

}  // namespace lade
