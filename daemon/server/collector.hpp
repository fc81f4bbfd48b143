// Garbage collection in the background, by the policies of the daemon's configuration.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "daemon/server/options.hpp"

namespace lade {

class Collector {
 public:
  /// Starts a thread: for the policies, or, where there are none, to keep build cache within
  /// SpaceLimit::by_default(). Without collection there is no thread.
  Collector(std::string root, const DaemonOptions& options);
  ~Collector();
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

 private:
  void run();
  void collect();

  std::string root_;
  std::vector<GcPolicy> policies_;
  bool is_default_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace lade
