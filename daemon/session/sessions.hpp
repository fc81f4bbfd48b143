#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "daemon/session/session_calls.hpp"

namespace lade {

/// The sessions that are open. Thread-safe.
class Sessions {
 public:
  void add(const std::string& id, std::shared_ptr<Session> session);
  void remove(const std::string& id);
  /// Waits for the session to come, for some seconds: a client opens it and starts its build at
  /// once. Null if it does not come.
  std::shared_ptr<SessionCalls> find(const std::string& id, const std::function<bool()>& stop);
  /// Ends all of them.
  void close_all();

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::map<std::string, std::shared_ptr<Session>> sessions_;  // guarded by mutex_
};

}  // namespace lade
