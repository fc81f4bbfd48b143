#include "app/image/whole_image.hpp"

#include <fcntl.h>

#include "base/sys.hpp"
#include "exporter/exporter.hpp"
#include "snapshotter/layers/file_age.hpp"

namespace lade {

StoredImage find_whole_image(StateDir& state, const std::string& text) {
  const StoredImage image = find_stored_image(state.images(), state.content(), text);
  const Descriptor whole = complete_image(state, image.target);
  if (whole.digest == image.target.digest) return image;
  const Descriptor old = image.target;
  StoredImage out = read_stored_image(state.content(), whole);
  state.database().transaction([&] {
    for (const auto& name : image.names) {
      const auto now = state.images().find(name.name);
      // Not what was named anew or removed meanwhile.
      if (!now || now->target.digest != old.digest) continue;
      state.images().put(name.name, whole);
      out.names.push_back(*state.images().find(name.name));
    }
    const auto file = sys::lstatat(AT_FDCWD, state.content().path(old.digest));
    if (!file || state.images().name_of(old.digest)) return;
    // One that somebody may be about to name is for the next collection.
    if (is_young(modified_ms(*file), state.layers().oldest_other_start())) return;
    state.content().remove(old.digest);
  });
  return out;
}

}  // namespace lade
