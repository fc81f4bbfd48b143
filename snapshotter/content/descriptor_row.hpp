// Descriptors as database columns, for the stores of layers and images.
#pragma once

#include <optional>
#include <string>

#include "snapshotter/content/descriptor.hpp"

namespace lade {

/// JSON, as in a manifest.
std::string descriptor_text(const Descriptor& descriptor);
Descriptor parse_descriptor(const std::string& text);  ///< throws Error(corrupt)
/// nullopt for a damaged one: for what can do without.
std::optional<Descriptor> try_parse_descriptor(const std::string& text);

}  // namespace lade
