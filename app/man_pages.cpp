#include "app/man_pages.hpp"

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "base/man_page.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

constexpr const char* kVersion = "lade " LADE_VERSION;
// lade-daemon prints its own.
constexpr const char* kDaemon = "daemon";

void write(const std::string& directory, const CommandLine& line, const ManPage& page) {
  sys::write_file_atomically(fmt::format("{}/{}.{}", directory, page.name, page.section),
                             man_page(line, page));
}

/// Of a command, and of its own commands.
void write_command(const std::string& directory, const CommandLine& line, const std::string& name) {
  ManPage page{.name = name, .version = kVersion};
  page.see_also = {"lade(1)"};
  for (const CommandLine* below : line.subcommands()) {
    page.commands.emplace_back(below->name(), below->description());
    page.see_also.push_back(fmt::format("{}-{}(1)", name, below->name()));
    write_command(directory, *below, name + "-" + below->name());
  }
  write(directory, line, page);
}

void write_all(const std::string& directory) {
  Globals globals;
  CommandLine app(program_description(), "lade");
  add_global_options(app, globals);
  ManPage page{.name = "lade", .version = kVersion};
  for (const auto& command : all_commands()) {
    if (command.group == CommandGroup::hidden) continue;
    page.commands.emplace_back(command.name, command.summary);
    page.see_also.push_back(
        fmt::format("lade-{}({})", command.name, command.name == std::string(kDaemon) ? 8 : 1));
    if (command.name == std::string(kDaemon)) continue;
    CommandLine top(program_description(), "lade");
    CommandAction action;
    CommandLine& line = top.add_subcommand(command.name, command.summary);
    command.add(line, globals, action);
    write_command(directory, line, fmt::format("lade-{}", command.name));
  }
  page.sections = {
      {"exit status",
       {"0 if all went well, 1 for errors, 2 for a command line that is wrong. lade run: as docker "
        "run, the command's own code, 125 if no container could be made, 126 and 127 if the "
        "command "
        "could not be run or found. After Ctrl-C 130, after SIGTERM 143."}},
      {"files",
       {"/var/lib/lade: the state directory of root: images, layers, build cache.",
        "$XDG_DATA_HOME/lade or ~/.local/share/lade: that of an ordinary user.",
        "~/.docker/config.json, ~/.config/containers/auth.json: credentials for registries.",
        "/etc/containers/registries.conf, /etc/docker/certs.d: mirrors and certificates."}},
      {"environment",
       {"LADE_ROOT: the state directory, unless --root says another.",
        "LADE_MAX_STORAGE, LADE_KEEP_STORAGE: as --max-storage and --keep-storage of lade build.",
        "SOURCE_DATE_EPOCH: the time that images and their files get.",
        "BUILDKIT_PROGRESS, NO_COLOR: how progress is shown.",
        "http_proxy, https_proxy, no_proxy: as curl has them; steps get them as build "
        "arguments."}}};
  write(directory, app, page);
}

}  // namespace

void add_man_pages_command(CommandLine& command, const Globals& /*globals*/,
                           CommandAction& action) {
  auto directory = std::make_shared<std::string>();
  command.add_option("DIRECTORY", *directory, "Where the pages go").required();
  command.callback([directory, &action] {
    action = [directory] {
      write_all(*directory);
      return 0;
    };
  });
}

}  // namespace lade
