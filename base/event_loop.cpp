#include "base/event_loop.hpp"

#include <array>
#include <cerrno>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace lade {

using Clock = std::chrono::steady_clock;

struct EventLoop::State {
  UniqueFd epoll;
  UniqueFd wake;
  std::mutex mutex;  // guards `posted`
  std::vector<Callback> posted;
  // Shared, so that a callback may unwatch itself while it runs.
  std::unordered_map<int, std::shared_ptr<FdCallback>> watched;
  std::map<std::pair<Clock::time_point, TimerId>, Callback> timers;
  std::unordered_map<TimerId, Clock::time_point> deadlines;
  TimerId next_timer = 1;

  void run_posted();
  void run_timers();
  int timeout_ms() const;
};

EventLoop::EventLoop() : state_(std::make_unique<State>()) {
  state_->epoll.reset(::epoll_create1(EPOLL_CLOEXEC));
  state_->wake.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!state_->epoll || !state_->wake) throw_errno("could not make an event loop");
  epoll_event event{.events = EPOLLIN, .data = {.fd = state_->wake.get()}};
  if (::epoll_ctl(state_->epoll.get(), EPOLL_CTL_ADD, state_->wake.get(), &event) != 0) {
    throw_errno("could not make an event loop");
  }
}

EventLoop::~EventLoop() = default;

void EventLoop::post(Callback callback) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->posted.push_back(std::move(callback));
    if (state_->posted.size() > 1) return;  // the loop has been woken for the first one
  }
  const uint64_t one = 1;
  // A full counter (EAGAIN) is awake already.
  [[maybe_unused]] const auto written = ::write(state_->wake.get(), &one, sizeof one);
}

void EventLoop::watch(int fd, uint32_t events, FdCallback callback) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  const bool known = state_->watched.contains(fd);
  if (::epoll_ctl(state_->epoll.get(), known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0) {
    throw_errno("could not watch a descriptor");
  }
  state_->watched[fd] = std::make_shared<FdCallback>(std::move(callback));
}

void EventLoop::unwatch(int fd) {
  if (state_->watched.erase(fd) == 0) return;
  ::epoll_ctl(state_->epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::after(std::chrono::milliseconds delay, Callback callback) {
  const TimerId id = state_->next_timer++;
  const auto deadline = Clock::now() + delay;
  state_->timers.emplace(std::pair(deadline, id), std::move(callback));
  state_->deadlines.emplace(id, deadline);
  return id;
}

void EventLoop::cancel(TimerId timer) {
  const auto found = state_->deadlines.find(timer);
  if (found == state_->deadlines.end()) return;
  state_->timers.erase({found->second, timer});
  state_->deadlines.erase(found);
}

void EventLoop::State::run_posted() {
  uint64_t count = 0;
  // Reset the counter before taking the work: a post in between wakes us once more, never less.
  [[maybe_unused]] const auto got = ::read(wake.get(), &count, sizeof count);
  std::vector<Callback> work;
  {
    const std::lock_guard lock(mutex);
    work.swap(posted);
  }
  for (auto& callback : work) callback();
}

void EventLoop::State::run_timers() {
  const auto now = Clock::now();
  while (!timers.empty() && timers.begin()->first.first <= now) {
    auto node = timers.extract(timers.begin());
    deadlines.erase(node.key().second);
    node.mapped()();
  }
}

int EventLoop::State::timeout_ms() const {
  if (timers.empty()) return -1;
  const auto left = timers.begin()->first.first - Clock::now();
  if (left <= Clock::duration::zero()) return 0;
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
}

void EventLoop::run_until(const std::function<bool()>& done) {
  std::array<epoll_event, 64> events{};
  while (!done()) {
    const int count =
        ::epoll_wait(state_->epoll.get(), events.data(), events.size(), state_->timeout_ms());
    if (count < 0 && errno != EINTR) throw_errno("could not wait for events");
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<size_t>(i)];
      if (event.data.fd == state_->wake.get()) {
        state_->run_posted();
        continue;
      }
      // An earlier callback of this batch may have unwatched it.
      const auto found = state_->watched.find(event.data.fd);
      if (found == state_->watched.end()) continue;
      const auto callback = found->second;
      (*callback)(event.events);
    }
    state_->run_timers();
  }
}

}  // namespace lade
