// Frames of a step's interface. What passes is held against a second reading of the rules, written
// for bytes that are known to be there.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "solver/executor/network/frame_filter.hpp"
#include "solver/executor/network/network_link.hpp"

namespace {

using namespace lade;
using namespace lade::sandbox;

void require(bool holds) {
  if (!holds) std::abort();
}

uint32_t number(const uint8_t* bytes, int size) {
  uint32_t out = 0;
  for (int i = 0; i < size; ++i) out = out << 8 | bytes[i];
  return out;
}

const AddressSet& denied() {
  static const AddressSet set({{0xc0000202, 0xc0000202}, {0x0a070000, 0x0a07ffff}});
  return set;
}

void check_passed_packet(const uint8_t* ip, size_t size) {
  require(size >= 20 && ip[0] == 0x45 && number(ip + 12, 4) == network_step);
  const uint32_t to = number(ip + 16, 4);
  const uint32_t top = to >> 24;
  require(top != 0 && top != 127 && top < 224);
  require(to != 0xc0000202 && to >> 16 != 0x0a07);
  if (to >> 8 != 0x0a0002) return;
  // A whole packet: an echo, or a query.
  require(size >= 28);
  require((number(ip + 6, 2) & 0x3fff) == 0);
  if (ip[9] == 1) {
    require(ip[20] == 8 && (to == network_gateway || to == network_name_server));
  } else {
    require((ip[9] == 6 || ip[9] == 17) && to == network_name_server && number(ip + 22, 2) == 53);
  }
}

void check_refused(Frame frame) {
  const auto answer = refusal_of(frame);
  require(answer.size() == 14 + 20 + 8 + 28);
  // It is no frame that a step could get past the filter itself.
  require(judge_frame(answer, denied()) == Verdict::drop);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Of exactly this size, whatever the fuzzer's buffer is.
  const std::unique_ptr<uint8_t[]> copy(new uint8_t[size]);
  if (size > 0) std::memcpy(copy.get(), data, size);
  const Frame frame(copy.get(), size);
  switch (judge_frame(frame, denied())) {
    case Verdict::drop:
      break;
    case Verdict::refuse:
      check_refused(frame);
      break;
    case Verdict::pass:
      require(size >= 34);
      if (number(data + 12, 2) == 0x0806) {
        require(size >= 42 && (number(data + 28, 4) == network_step || number(data + 28, 4) == 0));
      } else {
        require(number(data + 12, 2) == 0x0800);
        check_passed_packet(data + 14, size - 14);
      }
  }
  return 0;
}
