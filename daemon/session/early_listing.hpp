// Listings of a client's directories that are asked for before it is known what of them a build
// reads: what the last build of the same directory read is as good as certain. A client walks its
// directory, which takes most of the time of a cached build, while the Dockerfile comes from it and
// registries are asked.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "daemon/session/session_calls.hpp"

namespace lade {

/// What SyncedDirectory::remember() keeps of a request, and back. The name is not in it.
std::string request_text(const DirectoryRequest& request);
/// Throws Error for what is no such text.
DirectoryRequest parse_request(const std::string& name, std::string_view text);

/// Of one job. Thread-safe.
class EarlyListings {
 public:
  /// `key` is the directory's, as in Job::sync().
  void start(SessionCalls& session, const std::string& key, const DirectoryRequest& request);
  /// The one that was started for this request; null if there is none. One that was started for
  /// another request ends.
  std::unique_ptr<DirectoryCall> take(const std::string& key, const DirectoryRequest& request);
  /// Ends those that nobody took.
  void drop();

 private:
  struct Started {
    DirectoryRequest request;
    std::unique_ptr<DirectoryCall> call;
  };

  std::mutex mutex_;
  std::map<std::string, Started> started_;  // guarded by mutex_
};

}  // namespace lade
