// `lade history`: how an image came to be, newest first, as `docker history` shows it.
#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "app/image/commands.hpp"
#include "app/image/image_facts.hpp"
#include "app/ui/listing.hpp"
#include "base/error.hpp"
#include "base/shown_text.hpp"

namespace lade {
namespace {

constexpr size_t kCreatedByWidth = 45;

struct HistoryFlags {
  std::string image;
  std::string format;
  std::string platform;
  bool no_trunc = false;
  bool quiet = false;
  bool human = true;
};

/// On one line, and no longer than the column unless it is wanted whole.
std::string created_by(std::string text, bool whole) {
  std::replace(text.begin(), text.end(), '\t', ' ');
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (whole || text.size() <= kCreatedByWidth) return text;
  size_t cut = kCreatedByWidth - 1;
  while (cut > 0 && (text[cut] & 0xc0) == 0x80) --cut;  // not within a character
  return text.substr(0, cut) + "…";
}

/// Bytes of each history entry's layer; 0 for those without.
std::vector<uint64_t> entry_sizes(StateDir& state, const StoredManifest& manifest) {
  const auto& layers = manifest.manifest.layers;
  const auto& diff_ids = manifest.config.diff_ids;
  std::vector<uint64_t> sizes;
  size_t layer = 0;
  for (const auto& entry : manifest.config.history) {
    const bool has_layer = !entry.empty_layer && layer < layers.size() && layer < diff_ids.size();
    sizes.push_back(has_layer ? layer_size(state, diff_ids[layer], layers[layer]) : 0);
    if (has_layer) ++layer;
  }
  return sizes;
}

std::vector<nlohmann::json> rows(StateDir& state, const StoredImage& image,
                                 const StoredManifest& manifest, const HistoryFlags& flags) {
  const std::vector<uint64_t> sizes = entry_sizes(state, manifest);
  std::vector<nlohmann::json> out;
  for (size_t i = manifest.config.history.size(); i-- > 0;) {
    const HistoryEntry& entry = manifest.config.history[i];
    const bool top = i + 1 == manifest.config.history.size();
    const std::string at = entry.created ? entry.created->str() : "N/A";
    out.push_back({{"ID", top ? shown_id(image.id(), flags.no_trunc) : "<missing>"},
                   {"CreatedAt", at},
                   {"CreatedSince", flags.human ? time_ago(entry.created) : at},
                   {"CreatedBy", created_by(entry.created_by, flags.no_trunc)},
                   {"Size", flags.human ? human_size(sizes[i]) : std::to_string(sizes[i])},
                   {"Comment", entry.comment}});
  }
  return out;
}

int run_history(const Globals& globals, const HistoryFlags& flags) {
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  const StoredImage image = find_stored_image(state->images(), state->content(), flags.image);
  const Platform platform =
      flags.platform.empty() ? Platform::host() : Platform::parse(flags.platform);
  const auto* manifest = image.for_platform(platform);
  if (!manifest) throw Error(lade::quoted(flags.image) + " has no image whose config is here");
  ListingKind kind;
  kind.table = std::string("{{.ID}}\t") + (flags.human ? "{{.CreatedSince}}" : "{{.CreatedAt}}") +
               "\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
  kind.headers = {{"ID", "IMAGE"},
                  {"CreatedAt", "CREATED AT"},
                  {"CreatedSince", "CREATED"},
                  {"CreatedBy", "CREATED BY"},
                  {"Size", "SIZE"},
                  {"Comment", "COMMENT"}};
  const std::string format = flags.quiet && flags.format.empty() ? "{{.ID}}" : flags.format;
  const std::string out =
      shown_on(STDOUT_FILENO, listing(kind, format, rows(*state, image, *manifest, flags)));
  std::fwrite(out.data(), 1, out.size(), stdout);
  return 0;
}

}  // namespace

void add_history_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<HistoryFlags>();
  command.add_option("IMAGE", flags->image, "Image: name, NAME@DIGEST or ID").required();
  command.add_option("--format", flags->format,
                     "Format of the output: table, table TEMPLATE, json, or a Go template");
  command.add_flag("-H,--human", flags->human,
                   "Sizes and times for people (default), or exact ones: --human=false");
  command.add_flag("--no-trunc", flags->no_trunc, "Show everything in full");
  command.add_option("--platform", flags->platform,
                     "Which image of an index (default: this machine's)");
  command.add_flag("-q,--quiet", flags->quiet, "Show IDs only");
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return run_history(globals, *flags); };
  });
}

}  // namespace lade
