#include "daemon/job/step_error.hpp"

#include <google/protobuf/util/json_util.h>
#include <nlohmann/json.hpp>

#include "daemon/job/llb_mount.hpp"
#include "daemon/proto/ops.pb.h"

namespace lade {
namespace {

constexpr int kNone = -1;  // of an input or an output

void put_meta(const ExecOp& op, pb::ExecOp& out) {
  auto& meta = *out.mutable_meta();
  for (const auto& arg : op.args) meta.add_args(arg);
  for (const auto& variable : op.env) meta.add_env(variable);
  meta.set_cwd(op.cwd);
  meta.set_user(op.user);
  meta.set_hostname(op.hostname);
  for (const auto& [name, address] : op.extra_hosts) {
    auto& host = *meta.add_extrahosts();
    host.set_host(name);
    host.set_ip(address);
  }
  out.set_network(op.network == OpNetwork::host   ? pb::HOST
                  : op.network == OpNetwork::none ? pb::NONE
                                                  : pb::UNSET);
  if (op.security == OpSecurity::insecure) out.set_security(pb::INSECURE);
}

/// The results that a step's mounts are, by the order of the mounts.
class Results {
 public:
  explicit Results(const AddResult& add) : add_(add) {}

  /// "" for what is none.
  void add(const LayerStack* layers) { ids_.push_back(layers ? add_(*layers) : ""); }
  const std::vector<std::string>& ids() const { return ids_; }

 private:
  const AddResult& add_;
  std::vector<std::string> ids_;
};

}  // namespace

StepError step_error(const AddResult& add, const Definition& graph, const FailedStep& step,
                     const Error& error) {
  const Vertex& vertex = graph.vertices.at(step.vertex);
  const auto& op = std::get<ExecOp>(vertex.op);
  pb::Op shown;
  auto& exec = *shown.mutable_exec();
  put_meta(op, exec);
  Results before(add);
  Results after(add);
  auto& root = *exec.add_mounts();
  root.set_dest("/");
  root.set_readonly(op.read_only_root);
  before.add(&step.inputs.at(0));
  after.add(&step.outputs.at(0));
  for (const auto& mount : op.mounts) {
    if (mount.env_only) {
      auto& secret = *exec.add_secretenv();
      secret.set_id(mount.id);
      secret.set_name(mount.env.value_or(mount.id));
      secret.set_optional(!mount.required);
      continue;
    }
    auto& out = *exec.add_mounts();
    put_mount(mount, out);
    out.set_input(mount.input ? static_cast<int64_t>(*mount.input) : kNone);
    out.set_output(mount.output ? static_cast<int64_t>(*mount.output) : kNone);
    const LayerStack* input = mount.input ? &step.inputs.at(*mount.input) : nullptr;
    before.add(input);
    after.add(mount.output ? &step.outputs.at(*mount.output) : input);
  }
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(shown, &json);
  if (!status.ok()) throw Error("the step that failed cannot be shown: " + status.ToString());
  return {error, nlohmann::json({{"inputIDs", before.ids()},
                                 {"mountIDs", after.ids()},
                                 {"op", nlohmann::json::parse(json)},
                                 {"description", {{"llb.customname", vertex.name}}}})
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

}  // namespace lade
