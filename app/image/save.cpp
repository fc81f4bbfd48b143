// `lade save`: images as a tar that docker, podman, skopeo and lade load.
#include <fmt/format.h>
#include <unistd.h>

#include "app/image/archived.hpp"
#include "app/image/commands.hpp"
#include "app/image/whole_image.hpp"
#include "base/error.hpp"

namespace lade {
namespace {

struct SaveFlags {
  std::vector<std::string> images;
  std::string output;
  std::string format = "docker-archive";
};

std::vector<ArchivedImage> collect(StateDir& state, const std::vector<std::string>& texts) {
  std::vector<ArchivedImage> out;
  for (const auto& text : texts) {
    const StoredImage image = find_whole_image(state, text);
    // As docker: an image that is asked for by its ID comes without names.
    std::vector<std::string> names;
    if (auto name = name_called(image, text)) names.push_back(std::move(*name));
    const auto same = std::find_if(out.begin(), out.end(), [&](const ArchivedImage& other) {
      return other.image.target.digest == image.target.digest;
    });
    if (same == out.end()) {
      out.push_back(archived_image(state, image, std::move(names)));
    } else {
      same->names.insert(same->names.end(), names.begin(), names.end());
    }
  }
  return out;
}

int run_save(const Globals& globals, const SaveFlags& flags) {
  const bool directory = flags.format == "oci-dir";
  if (flags.format != "docker-archive" && flags.format != "oci-archive" && !directory) {
    throw Error(fmt::format("--format {} is not one of: docker-archive, oci-archive, oci-dir",
                            flags.format),
                ErrorKind::usage);
  }
  const bool to_stdout = flags.output.empty() || flags.output == "-";
  if (to_stdout && directory) throw Error("--format oci-dir needs -o DIRECTORY", ErrorKind::usage);
  if (to_stdout && ::isatty(STDOUT_FILENO) != 0) {
    Error error("an archive is not for a terminal", ErrorKind::usage);
    error.set_hint("use -o FILE, or redirect standard output");
    throw error;
  }
  const std::string dest = to_stdout ? "-" : flags.output;
  if (directory) {
    check_output_directory(dest);
  } else {
    check_output_file(dest);
  }
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  const std::vector<ArchivedImage> images = collect(*state, flags.images);
  if (flags.format == "docker-archive") {
    export_docker_archive(*state, images, dest);
  } else {
    export_oci_archive(*state, images, dest, !directory);
  }
  return 0;
}

}  // namespace

void add_save_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<SaveFlags>();
  command.add_option("IMAGE", flags->images, "Images: names, NAME@DIGEST or IDs").required();
  command.add_option("-o,--output", flags->output, "File (default: standard output)");
  command.add_option("--format", flags->format,
                     "docker-archive (default), oci-archive, or oci-dir");
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return run_save(globals, *flags); };
  });
}

}  // namespace lade
