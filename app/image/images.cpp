// `lade images`: the images of this machine, as `docker images` lists them.
#include <algorithm>
#include <cstdio>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/image/commands.hpp"
#include "app/image/image_facts.hpp"
#include "app/image/image_filter.hpp"
#include "app/ui/flags.hpp"
#include "app/ui/listing.hpp"

namespace lade {
namespace {

struct ImagesFlags {
  std::string reference;
  std::vector<std::string> filters;
  std::string format;
  bool quiet = false;
  bool all = false;
  bool digests = false;
  bool no_trunc = false;
};

ListingKind images_kind(bool digests) {
  ListingKind kind;
  kind.table = std::string("{{.Repository}}\t{{.Tag}}\t") + (digests ? "{{.Digest}}\t" : "") +
               "{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
  kind.headers = {{"Repository", "REPOSITORY"},
                  {"Tag", "TAG"},
                  {"Digest", "DIGEST"},
                  {"ID", "IMAGE ID"},
                  {"CreatedSince", "CREATED"},
                  {"CreatedAt", "CREATED AT"},
                  {"Size", "SIZE"},
                  {"Platforms", "PLATFORMS"},
                  {"Containers", "CONTAINERS"},
                  {"SharedSize", "SHARED SIZE"},
                  {"UniqueSize", "UNIQUE SIZE"},
                  {"VirtualSize", "SIZE"}};
  return kind;
}

nlohmann::json row(StateDir& state, const StoredImage& image, const ImageName& name,
                   const ImagesFlags& flags) {
  const auto* shown = image.for_platform(Platform::host());
  const ShownName parts = shown_name(name.name);
  const std::string size = shown ? human_size(image_size(state, *shown)) : "0B";
  const auto created = shown ? shown->config.created : std::nullopt;
  std::string platforms;
  for (const auto& manifest : image.manifests) {
    platforms += (platforms.empty() ? "" : ",") + manifest.config.platform.normalized().str();
  }
  return {{"Repository", parts.repository},
          {"Tag", parts.tag},
          {"Digest", image.target.digest.str()},
          {"ID", shown_id(image.id(), flags.no_trunc)},
          {"CreatedSince", time_ago(created)},
          {"CreatedAt", created ? docker_time(*created) : "N/A"},
          {"Size", size},
          {"VirtualSize", size},
          {"SharedSize", "N/A"},
          {"UniqueSize", "N/A"},
          {"Containers", "N/A"},
          {"Platforms", platforms}};
}

std::set<Digest> ids_with_names(const std::vector<StoredImage>& images) {
  std::set<Digest> out;
  for (const auto& image : images) {
    const bool has_name = std::any_of(image.names.begin(), image.names.end(),
                                      [](const ImageName& name) { return !is_unnamed(name.name); });
    if (has_name) out.insert(image.id());
  }
  return out;
}

int run_images(const Globals& globals, const ImagesFlags& flags) {
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  ImageFilter filter(flags.filters, *state);
  if (!flags.reference.empty()) filter.add_reference(flags.reference);
  std::vector<nlohmann::json> rows;
  const std::vector<StoredImage> images =
      list_stored_images(state->images(), state->content(), flags.all);
  const std::set<Digest> named = ids_with_names(images);
  for (const auto& image : images) {
    if (!filter.accepts(image)) continue;
    bool shown = false;
    for (const auto& name : image.names) {
      // As a row of its own only if it has no other name, under whatever manifest.
      if (is_unnamed(name.name) && (shown || named.contains(image.id()))) continue;
      if (!filter.accepts_name(name.name)) continue;
      if (flags.quiet && shown) continue;
      shown = true;
      rows.push_back(row(*state, image, name, flags));
    }
  }
  const std::string format = flags.quiet && flags.format.empty() ? "{{.ID}}" : flags.format;
  const std::string out = listing(images_kind(flags.digests), format, rows);
  std::fwrite(out.data(), 1, out.size(), stdout);
  return 0;
}

}  // namespace

void add_images_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<ImagesFlags>();
  command.add_option("REPOSITORY", flags->reference, "Only images of this REPOSITORY[:TAG]");
  command.add_flag(
      "-a,--all", flags->all,
      "Show base images that builds found in registries, too, by the names they had there");
  command.add_flag("--digests", flags->digests, "Show digests");
  command.add_list("-f,--filter", flags->filters,
                   "Only images for which holds: reference=PATTERN, dangling=BOOL, label=K[=V], "
                   "before=IMAGE, since=IMAGE, until=DURATION");
  command.add_option("--format", flags->format,
                     "Format of the output: table, table TEMPLATE, json, or a Go template");
  command.add_flag("--no-trunc", flags->no_trunc, "Show IDs in full");
  command.add_flag("-q,--quiet", flags->quiet, "Show IDs only");
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return run_images(globals, *flags); };
  });
}

}  // namespace lade
