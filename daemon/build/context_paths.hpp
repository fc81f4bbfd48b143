// What of a client's directory a build needs: only that has to cross.
#pragma once

#include <string>
#include <vector>

#include "solver/lower/lower.hpp"

namespace lade {

/// Which paths of the directory "local://NAME" the graphs read (they may have wildcards); empty:
/// all.
std::vector<std::string> paths_read(const std::vector<LoweredImage>& images,
                                    const std::string& name);

}  // namespace lade
