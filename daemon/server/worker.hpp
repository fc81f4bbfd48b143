// What the daemon says of itself: its one worker, its version, what it can do.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace moby::buildkit::v1 {
namespace types {
class BuildkitVersion;
class WorkerRecord;
}  // namespace types
namespace frontend {
class PongResponse;
}
}  // namespace moby::buildkit::v1

namespace lade {

struct WorkerInfo {
  std::string id;                             ///< stays the same for a state directory
  std::map<std::string, std::string> labels;  ///< of the configuration
  std::vector<std::string> platforms;         ///< empty: this machine's, and what it emulates
};

/// Reads (or makes) the worker's ID in the state directory.
std::string worker_id(const std::string& root);

void put_version(moby::buildkit::v1::types::BuildkitVersion& out);
void put_worker(const WorkerInfo& worker, moby::buildkit::v1::types::WorkerRecord& out);
/// The gateway's answer to a ping: which parts of the protocol are there.
void put_pong(const WorkerInfo& worker, moby::buildkit::v1::frontend::PongResponse& out);

}  // namespace lade
