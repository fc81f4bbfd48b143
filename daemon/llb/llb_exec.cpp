// Exec ops of LLB.
#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "builder/options/build_values.hpp"
#include "daemon/job/llb_mount.hpp"
#include "daemon/llb/llb_loader.hpp"

namespace lade {
namespace {

const pb::Mount& root_mount(const pb::ExecOp& exec) {
  const pb::Mount* root = nullptr;
  for (const auto& mount : exec.mounts()) {
    if (mount.dest() == "/") root = &mount;
  }
  if (!root) throw Error("the step has no root filesystem");
  if (!root->selector().empty() && root->selector() != "/") {
    throw Error("a root filesystem that is a part of an input is not supported");
  }
  return *root;
}

void set_proxies(const pb::ProxyEnv& proxy, ExecOp& out) {
  const std::pair<const char*, const std::string*> proxies[] = {
      {"HTTP_PROXY", &proxy.http_proxy()},
      {"HTTPS_PROXY", &proxy.https_proxy()},
      {"FTP_PROXY", &proxy.ftp_proxy()},
      {"NO_PROXY", &proxy.no_proxy()},
      {"ALL_PROXY", &proxy.all_proxy()}};
  for (const auto& [name, value] : proxies) {
    if (value->empty()) continue;
    out.proxy_env[name] = *value;
    out.proxy_env[to_lower(name)] = *value;
  }
}

void set_meta(const pb::ExecOp& exec, ExecOp& out) {
  const auto& meta = exec.meta();
  out.args = {meta.args().begin(), meta.args().end()};
  out.env = {meta.env().begin(), meta.env().end()};
  const bool has_path = std::any_of(out.env.begin(), out.env.end(), [](const std::string& text) {
    return text.starts_with("PATH=");
  });
  if (!has_path) out.env.push_back("PATH=" + std::string(kDefaultPath));
  if (!meta.cwd().empty()) out.cwd = meta.cwd();
  out.user = meta.user();
  out.hostname = meta.hostname();
  out.cgroup_parent = meta.cgroupparent();
  for (const auto& host : meta.extrahosts()) out.extra_hosts.emplace_back(host.host(), host.ip());
  for (const auto& limit : meta.ulimit()) {
    out.ulimits.push_back({limit.name(), limit.soft(), limit.hard()});
  }
  out.good_exit_codes = {meta.validexitcodes().begin(), meta.validexitcodes().end()};
  set_proxies(meta.proxy_env(), out);
  out.network = exec.network() == pb::HOST   ? OpNetwork::host
                : exec.network() == pb::NONE ? OpNetwork::none
                                             : OpNetwork::sandbox;
  if (exec.security() == pb::INSECURE) out.security = OpSecurity::insecure;
  if (exec.cdidevices_size() > 0) throw Error("CDI devices are not supported");
}

void set_resources(const pb::LinuxResources& from, ExecOp& out) {
  CgroupLimits& limits = out.resources;
  if (from.memory() < 0 || from.cpuquota() < 0) throw Error("a limit of the step is below 0");
  limits.memory = from.memory();
  limits.memory_swap = from.memoryswap();
  limits.cpu_shares = from.cpushares();
  limits.cpu_period = from.cpuperiod();
  limits.cpu_quota = from.cpuquota();
  if (!from.cpusetcpus().empty()) set_resource(limits, "cpuset-cpus", from.cpusetcpus());
  if (!from.cpusetmems().empty()) set_resource(limits, "cpuset-mems", from.cpusetmems());
  check_resources(limits);
}

}  // namespace

void LlbLoader::add_exec(const std::string& digest, const pb::Op& op) {
  const auto& exec = op.exec();
  ExecOp out;
  set_meta(exec, out);
  const auto* meta = metadata(digest);
  if (meta && meta->has_linux_resources()) set_resources(meta->linux_resources(), out);
  const pb::Mount& root = root_mount(exec);
  out.read_only_root = root.readonly();
  std::vector<Edge> inputs = {edge_of_input(op, root.input())};
  std::map<uint32_t, uint32_t> outputs;  // the graph's number -> ours
  if (root.output() >= 0) outputs[static_cast<uint32_t>(root.output())] = 0;
  for (const auto& mount : exec.mounts()) {
    if (&mount == &root) continue;
    ExecMount made = exec_mount(op, mount, inputs);
    if (mount.output() >= 0 && made.type == ExecMountType::bind) {
      made.output = static_cast<uint32_t>(outputs.size() + (root.output() >= 0 ? 0 : 1));
      outputs[static_cast<uint32_t>(mount.output())] = *made.output;
    }
    out.mounts.push_back(std::move(made));
  }
  for (const auto& secret : exec.secretenv()) {
    ExecMount mount;
    mount.type = ExecMountType::secret;
    mount.id = secret.id();
    mount.env = secret.name();
    mount.env_only = true;
    mount.required = !secret.optional();
    out.mounts.push_back(std::move(mount));
  }
  check_entitlements(out);
  const Edge made = add(digest, op, std::move(out), std::move(inputs), name_of(digest, op));
  for (const auto& [theirs, ours] : outputs) {
    loaded_[digest].outputs[theirs] = {made.vertex, ours};
  }
}

void LlbLoader::check_entitlements(const ExecOp& op) const {
  const auto need = [&](bool wanted, const char* name) {
    if (!wanted || job_.entitlements.contains(name)) return;
    throw Error(fmt::format("entitlement {} is not allowed", name));
  };
  need(op.network == OpNetwork::host, "network.host");
  need(op.security == OpSecurity::insecure, "security.insecure");
}

ExecMount LlbLoader::exec_mount(const pb::Op& op, const pb::Mount& mount,
                                std::vector<Edge>& inputs) {
  ExecMount out = load_mount(mount);
  const bool bind = out.type == ExecMountType::bind;
  if (bind || (out.type == ExecMountType::cache && mount.input() >= 0)) {
    inputs.push_back(edge_of_input(op, mount.input()));
    out.input = static_cast<uint32_t>(inputs.size() - 1);
  }
  return out;
}

}  // namespace lade
