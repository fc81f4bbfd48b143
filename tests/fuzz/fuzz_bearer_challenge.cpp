// WWW-Authenticate headers of strangers.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "registry/auth/challenge.hpp"
#include "registry/net/http.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto challenge = lade::parse_challenges(text).bearer;
  if (challenge && challenge->realm.empty()) std::abort();
  lade::url_origin(text);
  lade::is_loopback(text);
  return 0;
}
