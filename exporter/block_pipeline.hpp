// The machinery under every compressor: a stream is cut into fixed blocks, each is encoded on its
// own on oneTBB, and a single hand at a time hashes the input and writes the output, both in the
// stream's order.
//
//   write() -> [block filled] --+--> encode (any order, parallel) --+--> emit (in order) -> out
//                               +--> hash of the input (in order) --+
//
// No thread ever waits for a particular one: whoever is free runs the next stage that can run, and
// the writing thread does so itself before it waits. It waits only while other threads are inside a
// stage, which is computing or a write to `out`. It never picks up foreign work, so a caller may
// hold locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/digest.hpp"
#include "base/stream.hpp"
#include "exporter/compressor.hpp"

namespace lade {

/// A byte buffer that is not cleared when it is made, and keeps its memory when it is used again.
struct RawBuffer {
  std::unique_ptr<char[]> bytes;
  size_t capacity = 0;
  size_t size = 0;

  void allocate(size_t wanted) {
    size = 0;
    if (wanted <= capacity) return;
    bytes = std::make_unique_for_overwrite<char[]>(wanted);
    capacity = wanted;
  }
  std::string_view view() const { return {bytes.get(), size}; }
};

struct Block {
  RawBuffer input;
  RawBuffer output;  ///< set by the encoder; unused with `stored`: the input is the output
  uint32_t crc = 0;  ///< of the input, where the format wants it
  bool stored = false;
};

/// A format, as seen by the pipeline. The result may depend only on the block's input.
class BlockEncoder {
 public:
  virtual ~BlockEncoder() = default;
  /// How much input makes a block; part of the format, since it decides the bytes.
  virtual size_t block_size() const = 0;
  /// Fills block.output. Called from many threads at once.
  virtual void encode(Block& block) const = 0;

  /// In the stream's order, one at a time: what comes before the first block, what is to be
  /// remembered of each one, what comes after the last.
  virtual void begin(ByteSink& /*out*/) {}
  virtual void emitted(const Block& /*block*/) {}
  virtual void end(ByteSink& /*out*/) {}
};

/// Runs `encoder` over what is written. One thread may write; the work is shared.
class BlockPipeline : public Compressor {
 public:
  /// `out` must outlive the pipeline. Destruction without finish() abandons what is left.
  BlockPipeline(std::unique_ptr<BlockEncoder> encoder, ByteSink& out);
  ~BlockPipeline() override;

  void write(std::string_view bytes) override;
  void finish() override;
  DiffId diff_id() const override;
  uint64_t uncompressed_size() const override { return total_; }

 private:
  struct State;
  void submit();
  static void help_soon(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;  // shared with the tasks that are under way
  size_t block_size_;
  Block filling_;
  uint64_t total_ = 0;
};

}  // namespace lade
