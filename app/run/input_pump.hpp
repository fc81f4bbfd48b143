// Standard input on its way to a container.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "base/unique_fd.hpp"

namespace lade {

/// Copies from a descriptor (of any kind) to another until the first ends, the second is closed at
/// its other side, or this object goes. A thread of its own, as files cannot be waited for by
/// epoll(7).
class InputPump {
 public:
  /// What of some input is passed on. Called by the pump's thread.
  using Filter = std::function<std::string(std::string_view)>;

  /// `from` is borrowed. `to` is closed at the end of the input, which tells the other side.
  InputPump(int from, UniqueFd to, Filter filter = nullptr);
  ~InputPump();
  InputPump(const InputPump&) = delete;
  InputPump& operator=(const InputPump&) = delete;

 private:
  void run();
  bool wait(int fd, short events) const;
  bool pass_on(std::string_view bytes);

  int from_;
  UniqueFd to_;
  Filter filter_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace lade
