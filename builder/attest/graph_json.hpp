// A graph as JSON, in the words of BuildKit's LLB: for people and programs that look into
// provenance.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "solver/graph/definition.hpp"

namespace lade {

/// The vertices that a root needs, inputs first.
std::vector<uint32_t> needed_vertices(const Definition& graph, Edge root);

/// What vertices are called in journals and provenance: of what they do and are made from.
std::vector<std::string> vertex_digests(const Definition& graph);

/// "step0", "step1", ... in the order of needed_vertices(), and a last one that names the root.
/// Values of secrets are not in a graph; users and passwords in URLs are left out.
nlohmann::ordered_json graph_json(const Definition& graph, Edge root);

}  // namespace lade
