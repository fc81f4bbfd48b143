// A little room that is kept for garbage collection.
//
// On a full disk nothing can be removed either: what goes from the database first needs room in its
// journal. So the state directory has a file of nothing, which a collection gives back to the disk
// when it finds it full, and makes again at its end.
#pragma once

#include <string>

namespace lade {

/// Makes the reserve of the state directory unless it is there. Without room there is none.
void keep_reserve(const std::string& root);
/// Gives it up if the disk is all but full.
void spend_reserve(const std::string& root);

/// Whether the directory's disk has next to no room, or no inode, left.
bool is_disk_full(const std::string& directory);

}  // namespace lade
