// `lade import`: a root filesystem tar becomes a base image.
#include <charconv>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "app/image/commands.hpp"
#include "app/ui/flags.hpp"
#include "base/error.hpp"
#include "base/shown_text.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "exporter/exporter.hpp"
#include "parser/parse.hpp"
#include "snapshotter/content/decompress.hpp"
#include "snapshotter/content/reference.hpp"
#include "snapshotter/state.hpp"
#include "snapshotter/tar/tar.hpp"
#include "solver/lower/lower.hpp"

namespace lade {
namespace {

struct ImportFlags {
  std::string file;
  std::string name;
  std::string platform;
  std::string message = "imported by lade";
  std::vector<std::string> changes;
};

/// What --change may hold: what sets the config and touches no file.
constexpr std::string_view kChanges[] = {
    "CMD",    "ENTRYPOINT", "ENV",         "EXPOSE",     "LABEL", "ONBUILD",   "USER",
    "VOLUME", "WORKDIR",    "HEALTHCHECK", "STOPSIGNAL", "SHELL", "MAINTAINER"};

/// For Dockerfiles that name no image.
class NoImages : public ImageResolver {
 public:
  BaseImage resolve(const std::string& source, const Platform&) override {
    throw Error("there is no image " + lade::quoted(source), ErrorKind::not_found);
  }
};

/// The config that the instructions make, read as a Dockerfile's.
ImageConfig changed_config(const std::vector<std::string>& changes) {
  std::string text = "FROM scratch\n";
  for (const auto& change : changes) {
    const std::string line(trim(change));
    const std::string word = to_upper(line.substr(0, line.find_first_of(" \t")));
    if (std::find(std::begin(kChanges), std::end(kChanges), word) == std::end(kChanges)) {
      throw Error(fmt::format("--change: {} is not an instruction that sets an image's config",
                              lade::quoted(word)),
                  ErrorKind::usage);
    }
    text += line + "\n";
  }
  auto source = std::make_shared<SourceFile>();
  source->name = "--change";
  source->text = text;
  NoImages none;
  LowerOptions options;
  options.main_context = false;
  return lower(parser::parse(source), options, none).config;
}

std::unique_ptr<ByteSource> open_input(const std::string& file) {
  if (file == "-") return std::make_unique<FdSource>(STDIN_FILENO);
  return std::make_unique<FdSource>(sys::open(file, O_RDONLY));
}

/// $SOURCE_DATE_EPOCH, as builds have it: with it the same tar gives the same image. Otherwise it
/// is now.
std::optional<Timestamp> creation_time() {
  const std::string text = sys::getenv("SOURCE_DATE_EPOCH");
  if (text.empty()) return std::nullopt;
  int64_t seconds = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || seconds < 0) {
    throw_usage("SOURCE_DATE_EPOCH: " + lade::quoted(text) + " is not a number of seconds");
  }
  return Timestamp{seconds, 0};
}

int run_import(const Globals& globals, const ImportFlags& flags) {
  const Reference name = parse_new_name(flags.name);
  const std::optional<Timestamp> created = creation_time();
  ContainerConfig config;
  if (!flags.changes.empty()) config = changed_config(flags.changes).config;
  const auto state = StateDir::open(StateDir::default_root(globals.root));

  // Unpack the tar into a layer.
  const auto tar = decompress(open_input(flags.file));
  PendingLayer pending = state->layers().prepare();
  const UniqueFd dir = sys::open(pending.path(), O_RDONLY | O_DIRECTORY);
  LayerIndex index = with_context(lade::quoted(flags.file),
                                  [&] { return extract_tar(*tar, dir.get(), TarDialect::plain); });
  const size_t entries = index.entries().size();
  if (entries == 0) throw Error(lade::quoted(flags.file) + " holds no files");
  const LayerId layer = state->layers().commit(std::move(pending), std::move(index));

  // An image of that one layer.
  ImageSource source;
  source.layers = {layer};
  source.config.platform =
      flags.platform.empty() ? Platform::host() : Platform::parse(flags.platform);
  HistoryEntry history;
  history.comment = flags.message;
  history.created = source.config.created = created;
  source.config.config = std::move(config);
  source.config.history.push_back(std::move(history));
  const WrittenImage image = write_image(*state, source, {});
  state->images().put(name.str(), image.manifest);
  fmt::print("{} {} ({})\n", name.familiar(), image.manifest.digest.str(),
             counted(entries, "file"));
  return 0;
}

}  // namespace

void add_import_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<ImportFlags>();
  command.add_option("FILE", flags->file, "Tar, plain or compressed; - is standard input")
      .required();
  command.add_option("NAME", flags->name, "Name of the image, NAME[:TAG]").required();
  command.add_list("-c,--change", flags->changes,
                   "Instruction of a Dockerfile that sets the config (CMD, ENV, USER ...)");
  command.add_option("-m,--message", flags->message, "Comment in the image's history");
  command.add_option("--platform", flags->platform,
                     "platform of the image (default: this machine's)");
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return run_import(globals, *flags); };
  });
}

}  // namespace lade
