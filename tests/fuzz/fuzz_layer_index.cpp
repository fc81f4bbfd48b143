// LayerIndex::parse on arbitrary bytes: what it accepts is canonical, and is written and read back
// alike.
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "snapshotter/tree/layer_index.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lade;
  try {
    const LayerIndex index = LayerIndex::parse({reinterpret_cast<const char*>(data), size});
    const LayerIndex again = LayerIndex::parse(index.serialize());
    if (again.entries() != index.entries()) std::abort();
    const MergedIndex merged({std::make_shared<const LayerIndex>(index)});
    for (const auto& entry : index.entries()) {
      const bool hidden = entry.type == EntryType::whiteout;
      if (index.find(entry.path) != &entry) std::abort();
      if (merged.find(entry.path).has_value() == hidden) std::abort();
      try {
        merged.resolve(entry.path);
      } catch (const Error&) {
        // A loop of symlinks.
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
