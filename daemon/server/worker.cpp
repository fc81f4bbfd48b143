#include "daemon/server/worker.hpp"

#include <algorithm>
#include <array>

#include <unistd.h>

#include "base/sys.hpp"
#include "base/text.hpp"
#include "builder/frontend.hpp"
#include "daemon/proto/gateway.pb.h"
#include "daemon/proto/worker.pb.h"
#include "snapshotter/content/descriptor.hpp"

namespace lade {
namespace {

/// The version of BuildKit whose protocol this is, which clients compare with what they need.
constexpr const char* kProtocolVersion = "v0.32.2+lade." LADE_VERSION;

/// What of the gateway there is (BuildKit's frontend/gateway/pb names them).
constexpr const char* kGatewayCaps[] = {"solve.base",
                                        "solve.inlinereturn",
                                        "resolveimage",
                                        "resolveimage.resolvemode",
                                        "readfile",
                                        "return",
                                        "returnmap",
                                        "readdir",
                                        "statfile",
                                        "importcaches",
                                        "proto.refarray",
                                        "reference.output",
                                        "frontend.inputs",
                                        "gateway.solve.metadata",
                                        "frontend.caps",
                                        "gateway.solve.evaluate",
                                        "gateway.evaluate",
                                        "gateway.warnings",
                                        "source.metaresolver",
                                        "gateway.exec",
                                        "gateway.exec.extrahosts",
                                        "gateway.exec.secretenv",
                                        "gateway.exec.signals",
                                        "gateway.exec.filesystem"};

/// What of LLB, caches and exporters there is (solver/pb).
constexpr const char* kGraphCaps[] = {"source.image",
                                      "source.image.resolvemode",
                                      "source.image.checksum",
                                      "source.local",
                                      "source.local.unique",
                                      "source.local.sessionid",
                                      "source.local.includepatterns",
                                      "source.local.followpaths",
                                      "source.local.excludepatterns",
                                      "source.local.sharedkeyhint",
                                      "source.local.differ",
                                      "source.git",
                                      "source.git.keepgitdir",
                                      "source.git.fullurl",
                                      "source.git.httpauth",
                                      "source.git.knownsshhosts",
                                      "source.git.mountsshsock",
                                      "source.git.subdir",
                                      "source.git.checksum",
                                      "source.git.skipsubmodules",
                                      "source.git.mtime",
                                      "source.git.fetchbycommit",
                                      "source.http",
                                      "source.http.auth",
                                      "source.http.checksum",
                                      "source.http.perm",
                                      "soruce.http.uidgid",
                                      "source.ocilayout",
                                      "source.buildop.llbfilename",
                                      "exec.meta.base",
                                      "exec.meta.cgroup.parent",
                                      "exec.meta.linux.resources",
                                      "exec.meta.network",
                                      "exec.meta.proxyenv",
                                      "exec.meta.security",
                                      "exec.meta.setsdefaultpath",
                                      "exec.meta.ulimit",
                                      "exec.meta.removemountstubs.recursive",
                                      "exec.mount.bind",
                                      "exec.mount.bind.readwrite-nooutput",
                                      "exec.mount.cache",
                                      "exec.mount.cache.sharing",
                                      "exec.mount.selector",
                                      "exec.mount.tmpfs",
                                      "exec.mount.tmpfs.size",
                                      "exec.mount.secret",
                                      "exec.mount.ssh",
                                      "exec.mount.cache.content",
                                      "exec.secretenv",
                                      "exec.validexitcode",
                                      "file.base",
                                      "file.copy.modestring",
                                      "file.copy.includeexcludepatterns",
                                      "file.copy.requiredpaths",
                                      "file.copy.alwaysreplaceexistingdestpaths",
                                      "file.rm.wildcard",
                                      "file.rm.nofollowsymlink",
                                      "file.symlink.create",
                                      "constraints",
                                      "platform",
                                      "meta.ignorecache",
                                      "meta.description",
                                      "meta.exportcache",
                                      "mergeop",
                                      "diffop",
                                      "passthroughop",
                                      "source.policy",
                                      "source.policy.session",
                                      "exporter.image.annotations",
                                      "exporter.sourcedateepoch",
                                      "exporter.multiple"};

/// Platforms whose programs the kernel runs through qemu (binfmt_misc).
std::vector<Platform> emulated() {
  constexpr std::pair<const char*, const char*> kKnown[] = {
      {"qemu-x86_64", "linux/amd64"},    {"qemu-aarch64", "linux/arm64"},
      {"qemu-arm", "linux/arm/v7"},      {"qemu-riscv64", "linux/riscv64"},
      {"qemu-ppc64le", "linux/ppc64le"}, {"qemu-s390x", "linux/s390x"}};
  std::vector<Platform> out;
  for (const auto& [name, platform] : kKnown) {
    const std::string path = std::string("/proc/sys/fs/binfmt_misc/") + name;
    if (::access(path.c_str(), F_OK) == 0) out.push_back(Platform::parse(platform));
  }
  return out;
}

void put_platform(const Platform& platform, pb::Platform& out) {
  out.set_os(platform.os);
  out.set_architecture(platform.architecture);
  out.set_variant(platform.variant);
}

}  // namespace

std::string worker_id(const std::string& root) {
  const std::string path = root + "/worker-id";
  if (const auto id = sys::read_file(path, 256); id && !trim(*id).empty()) {
    return std::string(trim(*id));
  }
  const std::string id = sys::random_hex(12);
  sys::write_file_atomically(path, id + "\n", 0600);
  return id;
}

void put_version(moby::buildkit::v1::types::BuildkitVersion& out) {
  out.set_package("lade");
  out.set_version(kProtocolVersion);
  out.set_dockerfileversion(kDockerfileVersion);
}

void put_worker(const WorkerInfo& worker, moby::buildkit::v1::types::WorkerRecord& out) {
  out.set_id(worker.id);
  auto& labels = *out.mutable_labels();
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  labels["org.mobyproject.buildkit.worker.executor"] = "oci";
  labels["org.mobyproject.buildkit.worker.hostname"] = host.data();
  labels["org.mobyproject.buildkit.worker.network"] = "sandbox";
  labels["org.mobyproject.buildkit.worker.snapshotter"] = "overlayfs";
  for (const auto& [key, value] : worker.labels) labels[key] = value;
  std::vector<Platform> platforms;
  for (const auto& name : worker.platforms) platforms.push_back(Platform::parse(name));
  if (platforms.empty()) {
    platforms = emulated();
    platforms.insert(platforms.begin(), Platform::host());
  }
  for (size_t i = 0; i < platforms.size(); ++i) {
    const auto end = platforms.begin() + static_cast<ptrdiff_t>(i);
    if (std::find(platforms.begin(), end, platforms[i]) != end) continue;
    put_platform(platforms[i], *out.add_platforms());
  }
  put_version(*out.mutable_buildkitversion());
}

void put_pong(const WorkerInfo& worker, moby::buildkit::v1::frontend::PongResponse& out) {
  for (const char* cap : kGatewayCaps) {
    auto& entry = *out.add_frontendapicaps();
    entry.set_id(cap);
    entry.set_enabled(true);
  }
  for (const char* cap : kGraphCaps) {
    auto& entry = *out.add_llbcaps();
    entry.set_id(cap);
    entry.set_enabled(true);
  }
  put_worker(worker, *out.add_workers());
}

}  // namespace lade
