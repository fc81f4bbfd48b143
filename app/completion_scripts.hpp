#pragma once

#include <string_view>

namespace lade {

/// What a shell reads to complete lade's command lines; null for a shell that is not known.
const char* completion_script(std::string_view shell);

}  // namespace lade
