// A blob on its way from a registry or its mirrors: goes on after a lost connection, ends exactly
// at its size.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/stream.hpp"
#include "registry/auth/access.hpp"
#include "snapshotter/content/descriptor.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {

/// Reads one blob, from the first endpoint that has it; the next one goes on where one fails.
/// Throws Error(not_found) if the registry does not have it, Error(unavailable) if it was lost more
/// often than HttpOptions::attempts allows, Error(corrupt) if its size is another. The digest is
/// the reader's to verify. For one thread at a time.
class RemoteBlobSource : public ByteSource {
 public:
  /// Sends the request, so that a missing blob is known at once.
  RemoteBlobSource(std::shared_ptr<RegistryAccess> access, std::vector<RegistryEndpoint> endpoints,
                   Descriptor descriptor);

  size_t read(char* buffer, size_t size) override;

 private:
  const RegistryEndpoint& endpoint() const { return endpoints_[at_]; }
  template <class Body>
  void at_an_endpoint(Body body);
  void connect();
  void skip_what_was_read();
  size_t read_once(char* buffer, size_t size);
  void count_cut();
  void check_end();
  [[noreturn]] void wrong_size(uint64_t actual) const;

  std::shared_ptr<RegistryAccess> access_;
  std::vector<RegistryEndpoint> endpoints_;
  size_t at_ = 0;
  Descriptor descriptor_;
  std::unique_ptr<HttpResponse> response_;
  uint64_t offset_ = 0;
  uint64_t cuts_ = 0;
  std::string failures_;  ///< of the endpoints before, for the last one's
};

}  // namespace lade
