// `lade load`: images from an archive.
#include <cstdio>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/image/commands.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "snapshotter/content/reference.hpp"
#include "snapshotter/images/image_archive.hpp"
#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/state.hpp"

namespace lade {
namespace {

std::vector<LoadedImage> load(StateDir& state, const std::string& input) {
  if (input.empty() || input == "-") {
    return load_image_archive(state.images(), state.content(),
                              std::make_unique<FdSource>(STDIN_FILENO));
  }
  UniqueFd fd = sys::open(input, O_RDONLY);
  if (S_ISDIR(sys::fstat(fd.get()).st_mode))
    return load_image_layout(state.images(), state.content(), input);
  return load_image_archive(state.images(), state.content(),
                            std::make_unique<FdSource>(std::move(fd)));
}

int run_load(const Globals& globals, const std::string& input, bool quiet) {
  if (input.empty() && ::isatty(STDIN_FILENO) != 0) {
    Error error("there is no archive to load", ErrorKind::usage);
    error.set_hint("lade load -i FILE, or lade load < FILE");
    throw error;
  }
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  const auto images = with_context(
      input.empty() || input == "-" ? std::string("standard input") : lade::quoted(input),
      [&] { return load(*state, input); });
  if (quiet) return 0;
  for (const auto& image : images) {
    for (const auto& name : image.names) {
      fmt::print("Loaded image: {}\n", Reference::parse(name).familiar());
    }
    if (image.names.empty()) {
      const StoredImage stored = read_stored_image(state->content(), image.target);
      fmt::print("Loaded image ID: {}\n", stored.id().str());
    }
  }
  return 0;
}

}  // namespace

void add_load_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  struct Flags {
    std::string input;
    bool quiet = false;
  };
  auto flags = std::make_shared<Flags>();
  command.add_option("-i,--input", flags->input,
                     "Archive of docker, podman, skopeo or lade, plain or compressed, or the "
                     "directory of an OCI layout (default: standard input)");
  command.add_flag("-q,--quiet", flags->quiet, "Print nothing");
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return run_load(globals, flags->input, flags->quiet); };
  });
}

}  // namespace lade
