// What a client answers inside of its session: frames of HTTP/2, and gRPC's messages in them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/session/http2_connection.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto connection = lade::Http2Connection::make([](std::string_view) { return true; });
  const auto listing = connection->call("/moby.filesync.v1.FileSync/DiffCopy", {{"dir-name", "a"}});
  const auto secret = connection->call("/moby.buildkit.secrets.v1.Secrets/GetSecret", {});
  listing->write("a request");
  secret->writes_done();
  // In two pieces, as streams of bytes come; the first byte says where they part.
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t first = static_cast<size_t>(data[0]) % size;
  if (connection->receive(bytes.substr(0, first))) connection->receive(bytes.substr(first));
  connection->close();
  std::string message;
  while (listing->read(message)) {
  }
  listing->finish();
  secret->finish();
  return 0;
}
