// Pushing an image of this machine, for the commands that do.
#pragma once

#include <string>

#include "app/image/commands.hpp"

namespace lade {

/// To its own name if `destination` is empty. Shows progress unless `quiet`; returns the exit code.
int push_stored_image(const Globals& globals, const std::string& name,
                      const std::string& destination, bool quiet);

}  // namespace lade
