// LLB, the graphs that clients send, as graphs of lade's (solver/graph/definition.hpp), which are
// shaped like it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "daemon/job/job.hpp"
#include "daemon/job/source_policy.hpp"

namespace pb {
class Definition;
}

namespace lade {

/// A graph that stands for a result of a build: what clients are told a result is made of. They
/// hand it back, alone or as a part of another graph.
pb::Definition result_graph(const std::string& id);

/// Throws Error naming the op that is wrong, not supported, or denied by a policy.
JobRef load_llb(Job& job, const pb::Definition& definition, const FindResult& find,
                const SourcePolicies& policies);

/// Applies the policies to the repositories and URLs of a graph of lade's own. Images are asked
/// about when they are resolved, directories by whoever knows the client's names for them.
void apply_policies(const SourcePolicies& policies, Definition& graph);

}  // namespace lade
