#include "daemon/session/sessions.hpp"

#include <chrono>

#include "daemon/session/session_connection.hpp"

namespace lade {
namespace {

constexpr auto kSessionPatience = std::chrono::seconds(10);
constexpr auto kSessionLookAround = std::chrono::milliseconds(50);

}  // namespace

void Sessions::add(const std::string& id, std::shared_ptr<Session> session) {
  {
    const std::lock_guard lock(mutex_);
    if (!sessions_.emplace(id, std::move(session)).second) {
      throw Error(fmt::format("session {} already exists", id));
    }
  }
  came_.notify_all();
}

void Sessions::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  sessions_.erase(id);
}

std::shared_ptr<SessionCalls> Sessions::find(const std::string& id,
                                             const std::function<bool()>& stop) {
  const auto deadline = std::chrono::steady_clock::now() + kSessionPatience;
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto found = sessions_.find(id);
    if (found != sessions_.end()) return make_session_calls(found->second);
    if (stop() || std::chrono::steady_clock::now() > deadline) return nullptr;
    came_.wait_for(lock, kSessionLookAround);
  }
}

void Sessions::close_all() {
  std::vector<std::shared_ptr<Session>> open;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, session] : sessions_) open.push_back(session);
  }
  for (const auto& session : open) session->hang_up();
}

}  // namespace lade
