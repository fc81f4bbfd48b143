// A client's session: services that the client offers to the daemon, such as its directories and
// its secrets, over an HTTP/2 connection that runs inside of a stream of the Control service.
//
// The stream's thread owns a Session for as long as the client keeps it open. A build uses it
// through a SessionCalls of its own, whose cancel() ends what the build waits for and nothing else.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/stream.hpp"
#include "daemon/session/tree_sync.hpp"
#include "registry/auth/credentials.hpp"
#include "registry/cache_storage.hpp"

namespace moby::buildkit::v1::sourcepolicy::policysession {
class CheckPolicyRequest;
class CheckPolicyResponse;
}  // namespace moby::buildkit::v1::sourcepolicy::policysession

namespace lade {

/// Which of a client's files are sent: fsutil's filters, which the client applies.
struct DirectoryRequest {
  std::string name;  ///< what the client calls the directory
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::vector<std::string> follow;
  bool operator==(const DirectoryRequest&) const = default;
};

/// A directory that the client is listing since this was made; it waits when much of that has not
/// been read. Ended when this goes.
class DirectoryCall {
 public:
  virtual ~DirectoryCall() = default;
  /// To be called once. Returns how many bytes of contents came.
  virtual uint64_t receive(SyncedDirectory& into, const SyncProgress& progress) = 0;
};

/// What sessions offer to one build. Thread-safe; calls block, and throw Error(canceled) after
/// cancel(), Error(unavailable) once the client is gone.
class SessionCalls {
 public:
  virtual ~SessionCalls() = default;

  virtual const std::string& id() const = 0;
  virtual const std::string& shared_key() const = 0;
  virtual bool open() const = 0;
  virtual void cancel() = 0;

  /// "/package.Service/Method".
  virtual bool supports(std::string_view method) const = 0;

  virtual std::unique_ptr<DirectoryCall> open_directory(const DirectoryRequest& request) = 0;
  /// Files by path, as receive_files(); what there is not is left out.
  virtual std::map<std::string, std::string> read_files(const DirectoryRequest& request,
                                                        const std::vector<std::string>& paths,
                                                        uint64_t limit) = 0;
  /// nullopt: the client has none of that name.
  virtual std::optional<std::string> secret(const std::string& id) = 0;
  virtual Credentials credentials(const std::string& host) = 0;
  /// Where the client wants output `exporter`: one stream of bytes; finish() waits for the client.
  virtual std::unique_ptr<ByteSink> send_file(
      int exporter, const std::map<std::string, std::string>& metadata) = 0;
  virtual void send_tree(int exporter, const TreeToSend& tree, const SyncProgress& progress) = 0;
  /// Whether the client lets steps ask the agent `id`.
  virtual bool has_agent(const std::string& id) = 0;
  /// Passes bytes between a socket and the agent until one of them ends.
  virtual void forward_agent(const std::string& id, int socket) = 0;
  /// A content store of the client's: an OCI layout, a cache, or where an export goes.
  virtual std::shared_ptr<CacheStorage> content(const std::string& store,
                                                std::optional<Descriptor> manifest) = 0;
  /// Whether the client lets its build use a source.
  virtual moby::buildkit::v1::sourcepolicy::policysession::CheckPolicyResponse check_policy(
      const moby::buildkit::v1::sourcepolicy::policysession::CheckPolicyRequest& request) = 0;
  /// What the client streams under the id, as a context from standard input.
  virtual std::unique_ptr<ByteSource> upload(const std::string& path) = 0;
};

class Session;

std::shared_ptr<SessionCalls> make_session_calls(std::shared_ptr<Session> session);

}  // namespace lade
