// `lade tag`: another name for an image.

#include "app/image/commands.hpp"
#include "app/image/whole_image.hpp"
#include "app/ui/flags.hpp"
#include "snapshotter/images/stored_image.hpp"

namespace lade {
namespace {

int run_tag(const Globals& globals, const std::string& source, const std::string& target) {
  const Reference name = parse_new_name(target);
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  const StoredImage whole = find_whole_image(*state, source);
  // One transaction, so that nothing removes the image between finding and naming it.
  state->database().transaction([&] {
    const StoredImage image =
        find_stored_image(state->images(), state->content(), whole.target.digest.str());
    state->images().put(name.str(), image.target);
    state->images().remove(unnamed_image(image.target.digest));
    state->images().remove(unnamed_image(image.id()));
  });
  return 0;
}

}  // namespace

void add_tag_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto names = std::make_shared<std::pair<std::string, std::string>>();
  command.add_option("SOURCE", names->first, "Image: name, NAME@DIGEST or ID").required();
  command.add_option("TARGET", names->second, "Its new name, NAME[:TAG]").required();
  command.callback([names, &globals, &action] {
    action = [names, &globals] { return run_tag(globals, names->first, names->second); };
  });
}

}  // namespace lade
