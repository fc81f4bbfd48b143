// `lade rmi`: takes names away, and with the last one the image.
#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "app/image/commands.hpp"
#include "app/image/image_facts.hpp"
#include "app/ui/print_error.hpp"
#include "base/error.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

/// A name of which the database has lost what it means, and with which nothing else can be done.
bool forget_damaged(StateDir& state, const std::string& text) {
  std::string name = text;  // as it is in the database, which may have damaged that, too
  if (!state.images().is_damaged(name)) {
    try {
      name = Reference::parse(text).str();
    } catch (const Error&) {
      return false;  // an ID
    }
  }
  if (!state.images().is_damaged(name)) return false;
  state.images().remove(name);
  fmt::print("Untagged: {}\n", text);
  return true;
}

void remove_one(StateDir& state, const std::string& text, bool force) {
  if (forget_damaged(state, text)) return;
  const StoredImage image = find_stored_image(state.images(), state.content(), text);
  std::vector<std::string> names;
  if (const auto called = name_called(image, text)) {
    names.push_back(*called);
  } else {
    for (const auto& name : image.names) names.push_back(name.name);
    const auto named = std::count_if(names.begin(), names.end(),
                                     [](const std::string& name) { return !is_unnamed(name); });
    if (named > 1 && !force) {
      Error error(fmt::format("image {} has {} names", lade::quoted(text), named));
      error.set_hint("remove them by name, or all of them with -f");
      throw error;
    }
  }
  const bool gone =
      remove_image_names(state.images(), state.content(), state.layers(), image, names);
  for (const auto& name : names) {
    if (is_unnamed(name)) continue;
    const ShownName shown = shown_name(name);
    const bool tagged = shown.tag != ShownName().tag;
    fmt::print("Untagged: {}{}{}\n", shown.repository, tagged ? ":" : "", tagged ? shown.tag : "");
  }
  if (gone) fmt::print("Deleted: {}\n", image.id().str());
}

int run_rmi(const Globals& globals, const std::vector<std::string>& images, bool force) {
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  int code = 0;
  for (const auto& image : images) {
    try {
      remove_one(*state, image, force);
    } catch (const Error& error) {
      // As docker: with -f what is not there is as good as removed.
      if (force && error.kind() == ErrorKind::not_found) continue;
      std::fflush(stdout);
      print_error(error);
      code = 1;
    }
  }
  return code;
}

}  // namespace

void add_rmi_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  struct Flags {
    std::vector<std::string> images;
    bool force = false;
  };
  auto flags = std::make_shared<Flags>();
  command.add_option("IMAGE", flags->images, "Images: names, NAME@DIGEST or IDs").required();
  command.add_flag("-f,--force", flags->force,
                   "Remove all names of an ID; images that are not there are no error");
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return run_rmi(globals, flags->images, flags->force); };
  });
}

}  // namespace lade
