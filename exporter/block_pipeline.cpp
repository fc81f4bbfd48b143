#include "exporter/block_pipeline.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include <tbb/info.h>

#include "base/cpu_pool.hpp"
#include "base/error.hpp"

namespace lade {
namespace {

// Every pipeline may hold this many blocks without asking, so that none starves.
constexpr size_t kOwnBlocks = 2;
// Beyond them, input bytes in flight per core, over all pipelines: two zstd frames or a dozen gzip
// blocks.
constexpr int64_t kSharedBytesPerCore = int64_t{8} << 20;

// Input bytes in flight beyond what each pipeline may have anyway.
class SharedBudget {
 public:
  bool try_take(int64_t bytes) {
    if (left_.fetch_sub(bytes) >= bytes) return true;
    left_.fetch_add(bytes);
    return false;
  }
  void give_back(int64_t bytes) { left_.fetch_add(bytes); }

 private:
  std::atomic<int64_t> left_{kSharedBytesPerCore * std::max(1, tbb::info::default_concurrency())};
};

SharedBudget& shared_budget() {
  static SharedBudget budget;
  return budget;
}

struct Item {
  Block block;
  bool shared = false;  // has a part of the shared budget
  bool encoded = false;
  bool hashed = false;
};

}  // namespace

// What the writing thread and the helping tasks share. Items leave `items` at the front, in order;
// `next_encode` and `next_hash` are positions in it.
struct BlockPipeline::State {
  State(std::unique_ptr<BlockEncoder> the_encoder, ByteSink& the_out)
      : encoder(std::move(the_encoder)), out(the_out) {}

  const std::unique_ptr<BlockEncoder> encoder;
  ByteSink& out;
  Hasher hasher;
  Digest digest;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<Item>> items;
  std::vector<Block> spare;  // memory of blocks that are done with, for the next ones
  size_t next_encode = 0;
  size_t next_hash = 0;
  bool hashing = false;
  bool emitting = false;
  bool closed = false;  // failed or abandoned: nothing new is started
  size_t inside = 0;    // threads running a stage right now
  std::exception_ptr failure;

  bool run_one();
  void drain_to(size_t limit);
  void throw_if_failed();
  bool make_room();
  Block take_block();

 private:
  template <class Stage>
  void run_stage(std::unique_lock<std::mutex>& lock, Stage stage);
  void emit_front(std::unique_lock<std::mutex>& lock);
};

// Runs `stage` without the lock; the first failure closes the pipeline.
template <class Stage>
void BlockPipeline::State::run_stage(std::unique_lock<std::mutex>& lock, Stage stage) {
  ++inside;
  lock.unlock();
  std::exception_ptr problem;
  try {
    stage();
  } catch (...) {
    problem = std::current_exception();
  }
  lock.lock();
  --inside;
  if (problem) {
    closed = true;
    if (!failure) failure = problem;
  }
  changed.notify_all();
}

void BlockPipeline::State::emit_front(std::unique_lock<std::mutex>& lock) {
  emitting = true;
  const auto item = items.front();
  run_stage(lock, [&] {
    const Block& block = item->block;
    out.write(block.stored ? block.input.view() : block.output.view());
    encoder->emitted(block);
  });
  emitting = false;
  spare.push_back(std::move(item->block));
  items.pop_front();
  --next_encode;
  --next_hash;
  if (item->shared) shared_budget().give_back(static_cast<int64_t>(encoder->block_size()));
}

// Runs the stage that frees memory soonest; false if none can run now.
bool BlockPipeline::State::run_one() {
  std::unique_lock lock(mutex);
  if (closed) return false;
  if (!emitting && !items.empty() && items.front()->encoded && items.front()->hashed) {
    emit_front(lock);
    return true;
  }
  if (!hashing && next_hash < items.size()) {
    hashing = true;
    const auto item = items[next_hash++];
    run_stage(lock, [&] { hasher.update(item->block.input.view()); });
    hashing = false;
    item->hashed = true;
    return true;
  }
  if (next_encode < items.size()) {
    const auto item = items[next_encode++];
    run_stage(lock, [&] { encoder->encode(item->block); });
    item->encoded = true;
    return true;
  }
  return false;
}

void BlockPipeline::State::throw_if_failed() {
  std::lock_guard lock(mutex);
  if (failure) std::rethrow_exception(failure);
}

// Helps until at most `limit` blocks are in flight.
void BlockPipeline::State::drain_to(size_t limit) {
  for (;;) {
    throw_if_failed();
    {
      std::lock_guard lock(mutex);
      if (items.size() <= limit) return;
    }
    if (run_one()) continue;
    std::unique_lock lock(mutex);
    // Every stage that can run is running: a thread inside will report.
    if (items.size() > limit && inside > 0 && !closed) changed.wait(lock);
  }
}

// Waits until one more block may be in flight; true if it has a part of the shared budget.
bool BlockPipeline::State::make_room() {
  for (;;) {
    size_t count;
    {
      std::lock_guard lock(mutex);
      count = items.size();
    }
    if (count < kOwnBlocks) return false;
    if (shared_budget().try_take(static_cast<int64_t>(encoder->block_size()))) return true;
    drain_to(count - 1);
  }
}

// An empty block, of used memory where there is some: new pages cost the kernel clearing them.
Block BlockPipeline::State::take_block() {
  Block block;
  {
    const std::lock_guard lock(mutex);
    if (!spare.empty()) {
      block = std::move(spare.back());
      spare.pop_back();
    }
  }
  block.input.allocate(encoder->block_size());
  return block;
}

BlockPipeline::BlockPipeline(std::unique_ptr<BlockEncoder> encoder, ByteSink& out)
    : state_(std::make_shared<State>(std::move(encoder), out)),
      block_size_(state_->encoder->block_size()) {
  state_->encoder->begin(out);
}

BlockPipeline::~BlockPipeline() {
  std::unique_lock lock(state_->mutex);
  state_->closed = true;
  // Threads inside a stage use `out` and the encoder, which may go away after this.
  state_->changed.wait(lock, [&] { return state_->inside == 0; });
  for (const auto& item : state_->items) {
    if (item->shared) shared_budget().give_back(static_cast<int64_t>(block_size_));
  }
  state_->items.clear();
}

void BlockPipeline::submit() {
  auto item = std::make_shared<Item>();
  item->shared = state_->make_room();
  item->block = std::exchange(filling_, Block{});
  {
    std::lock_guard lock(state_->mutex);
    state_->items.push_back(std::move(item));
  }
  help_soon(state_);
}

// A stage, and then to the end of the workers' queue: other work waits for a block, not for a
// layer. It must be the queue that layers' writers come from: oneTBB counts a writer that has
// become its arena's last task against what other arenas ask for, and wakes nobody for them.
void BlockPipeline::help_soon(std::shared_ptr<State> state) {
  cpu_enqueue([state = std::move(state)] {
    if (state->run_one()) help_soon(state);
  });
}

void BlockPipeline::write(std::string_view bytes) {
  total_ += bytes.size();
  while (!bytes.empty()) {
    if (filling_.input.capacity == 0) {
      state_->throw_if_failed();
      filling_ = state_->take_block();
    }
    RawBuffer& input = filling_.input;
    const size_t count = std::min(bytes.size(), block_size_ - input.size);
    std::memcpy(input.bytes.get() + input.size, bytes.data(), count);
    input.size += count;
    bytes.remove_prefix(count);
    if (input.size == block_size_) submit();
  }
}

void BlockPipeline::finish() {
  if (filling_.input.size > 0) submit();
  state_->drain_to(0);
  state_->encoder->end(state_->out);
  state_->digest = state_->hasher.finish();
  state_->out.finish();
}

DiffId BlockPipeline::diff_id() const {
  return DiffId{state_->digest};
}

}  // namespace lade
