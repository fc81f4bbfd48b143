// Devices in layer directories: nodes, or what stands for them where nobody may make nodes.
#pragma once

#include <string>
#include <string_view>

#include <sys/types.h>

#include "snapshotter/tree/layer_index.hpp"

namespace lade {

/// Makes the node of a character or block device, or in a user namespace an empty file with the
/// mark of one (kDeviceMark). 0, or -1 with errno. `mode`: permissions.
int make_device(int dir, const std::string& name, const Entry& entry, mode_t mode);

/// What a mark says, into an entry that was found as an empty file; a mark that says nothing, or
/// on something else, leaves it as it is.
void read_device_mark(std::string_view mark, Entry& entry);

}  // namespace lade
