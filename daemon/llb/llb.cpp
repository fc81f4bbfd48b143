#include "daemon/llb/llb.hpp"

#include "base/digest.hpp"
#include "daemon/llb/llb_loader.hpp"

namespace lade {

pb::Definition result_graph(const std::string& id) {
  pb::Op source;
  source.mutable_source()->set_identifier(std::string(kResultScheme) + id);
  const std::string bytes = source.SerializeAsString();
  pb::Op last;
  auto& input = *last.add_inputs();
  input.set_digest(Digest::of(bytes).str());
  input.set_index(0);
  pb::Definition out;
  out.add_def(bytes);
  out.add_def(last.SerializeAsString());
  (*out.mutable_metadata())[input.digest()];
  return out;
}

JobRef load_llb(Job& job, const pb::Definition& definition, const FindResult& find,
                const SourcePolicies& policies) {
  return LlbLoader(job, definition, find, policies).load();
}

}  // namespace lade
