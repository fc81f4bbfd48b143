// What a client sends as its directory, packet by packet: nothing appears outside of the copy,
// which is what was listed. Wants root (owners, devices); the copy is on the build machine's
// /dev/shm.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <google/protobuf/stubs/logging.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "daemon/proto/fsutil.pb.h"
#include "daemon/session/tree_sync.hpp"

namespace {

using fsutil::types::Packet;

/// A client that says all it has to say, whatever it is told.
class Script : public lade::PacketStream {
 public:
  explicit Script(std::string_view bytes) : bytes_(bytes) {}

  bool read(Packet& packet) override {
    if (bytes_.size() < 2) return false;
    const size_t size = static_cast<unsigned char>(bytes_[0]) |
                        static_cast<size_t>(static_cast<unsigned char>(bytes_[1])) << 8;
    bytes_.remove_prefix(2);
    const std::string_view own = bytes_.substr(0, size);
    bytes_.remove_prefix(own.size());
    // gRPC hands over no message that does not parse.
    return packet.ParseFromArray(own.data(), static_cast<int>(own.size()));
  }
  bool write(const Packet&) override { return true; }

 private:
  std::string_view bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lade;
  // What is no UTF-8 is not worth a line each time.
  static const google::protobuf::LogSilencer silencer;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    Script script(bytes);
    receive_files(script, {"a", "d/b", "link"}, 1 << 20);
  } catch (const Error&) {
  }
  const TempDir temp = TempDir::create("/dev/shm", "lade-fuzz-");
  sys::make_dirs(temp.path() + "/in");
  {
    SyncedDirectory directory = SyncedDirectory::take(temp.path() + "/in", "key");
    // Twice: the second time most of it is there.
    for (int i = 0; i < 2; ++i) {
      try {
        Script script(bytes);
        directory.receive(script, {});
      } catch (const Error&) {
      }
    }
  }
  const UniqueFd top = sys::open(temp.path(), O_RDONLY | O_DIRECTORY);
  if (sys::list_dir(top.get()).size() != 1) std::abort();
  return 0;
}
