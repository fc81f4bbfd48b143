// Inside of load_llb(): one graph being read. Included by this folder only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/job/job.hpp"
#include "daemon/job/source_policy.hpp"
#include "daemon/proto/ops.pb.h"

namespace lade {

/// Sources that are results of the build itself.
inline constexpr std::string_view kResultScheme = "lade-result://";

/// What an LLB vertex has become.
struct LoadedOp {
  std::map<uint32_t, Edge> outputs;
  std::optional<Edge> local;  ///< of a local source: the directory itself, outputs are a copy
};

class LlbLoader {
 public:
  LlbLoader(Job& job, const pb::Definition& definition, const FindResult& find,
            const SourcePolicies& policies, int depth = 0)
      : job_(job), definition_(definition), find_(find), policies_(policies), depth_(depth) {}

  JobRef load();

 private:
  // The graph (llb.cpp)
  const pb::OpMetadata* metadata(const std::string& digest) const;
  std::string name_of(const std::string& digest, const pb::Op& op) const;
  SourceRange range_of(const std::string& digest);
  /// Adds a vertex; `op` says its platform.
  Edge add(const std::string& digest, const pb::Op& op, Op what, std::vector<Edge> inputs,
           std::string name);
  Edge scratch();
  const LoadedOp& loaded(const pb::Input& input) const;
  Edge edge(const pb::Input& input) const;
  /// Of the op's input `number`; scratch for a negative one.
  Edge edge_of_input(const pb::Op& op, int64_t number);
  /// As `edge`, but a directory of the client's is it itself, not a copy.
  Edge source_edge(const pb::Input& input) const;
  void add_op(const std::string& digest, const pb::Op& op);
  void add_merge(const std::string& digest, const pb::Op& op);
  void add_diff(const std::string& digest, const pb::Op& op);
  void add_passthrough(const std::string& digest, const pb::Op& op);
  void add_build(const std::string& digest, const pb::Op& op);
  /// Takes another graph into this one.
  Edge take(const JobRef& other);

  // Sources (llb_source.cpp)
  void add_source(const std::string& digest, pb::Op op);
  Edge result_edge(const std::string& id);
  Edge image_edge(const std::string& digest, const pb::Op& op);
  void add_local(const std::string& digest, const pb::Op& op);

  // Steps (llb_exec.cpp)
  void add_exec(const std::string& digest, const pb::Op& op);
  void check_entitlements(const ExecOp& op) const;
  ExecMount exec_mount(const pb::Op& op, const pb::Mount& mount, std::vector<Edge>& inputs);

  // Files (llb_file.cpp)
  struct Actions;
  void add_file(const std::string& digest, const pb::Op& op);

  Job& job_;
  const pb::Definition& definition_;
  const FindResult& find_;
  const SourcePolicies& policies_;
  const int depth_;  ///< how many graphs hold this one
  JobRef ref_;
  std::optional<Edge> scratch_;
  std::map<std::string, LoadedOp> loaded_;
  std::map<int, std::shared_ptr<const SourceFile>> files_;
};

/// The platform that the op is for; this machine's if it does not say.
Platform platform_of(const pb::Op& op);

/// A source of a repository or URL as lade has it. Throws Error for attributes that are not
/// supported.
SourceOp remote_source(const pb::SourceOp& source);
/// The reverse: as BuildKit's policies see it.
pb::SourceOp llb_source(const SourceOp& source);

}  // namespace lade
