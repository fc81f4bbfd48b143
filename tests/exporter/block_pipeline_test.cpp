#include "exporter/block_pipeline.hpp"

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "base/cpu_pool.hpp"

namespace lade {
namespace {

/// How often two encoders worked at once. Each waits a while for another one.
struct Meeting {
  std::mutex mutex;
  std::condition_variable changed;
  int inside = 0;
  bool met = false;

  void visit() {
    std::unique_lock lock(mutex);
    if (++inside > 1) met = true;
    changed.notify_all();
    changed.wait_for(lock, std::chrono::seconds(5), [&] { return met; });
    --inside;
  }
};

class MeetingEncoder : public BlockEncoder {
 public:
  explicit MeetingEncoder(Meeting& meeting) : meeting_(meeting) {}
  size_t block_size() const override { return 1024; }
  void encode(Block& block) const override {
    meeting_.visit();
    block.stored = true;
  }

 private:
  Meeting& meeting_;
};

// As layers' blobs are made while later steps run: the writer is a worker itself, and the last task
// of its kind.
TEST(BlockPipeline, AnotherWorkerHelpsAWriterThatIsOne) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "needs two cores";
  Meeting meeting;
  std::string written;
  std::promise<void> done;
  cpu_enqueue([&] {
    // Until the other workers have found that there is nothing for them.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    StringSink out;
    BlockPipeline pipeline(std::make_unique<MeetingEncoder>(meeting), out);
    for (int block = 0; block < 6; ++block) pipeline.write(std::string(1024, 'x'));
    pipeline.finish();
    written = out.take();
    done.set_value();
  });
  done.get_future().wait();
  EXPECT_TRUE(meeting.met);
  EXPECT_EQ(written, std::string(6 * 1024, 'x'));
}

}  // namespace
}  // namespace lade
