// What servers said about the version of a file that was downloaded before, so that it is not
// downloaded again while it is the same: a table of the state database.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/database.hpp"
#include "registry/net/http.hpp"

namespace lade {

/// Of one response (RFC 9110, 8.8). At least one of the first two is set; an ETag beats a time.
struct HttpVersion {
  std::string etag;
  std::string last_modified;    ///< the field as it came; kept for the file's time, too
  bool time_is_strong = false;  ///< the file could not have changed again with the same time
  std::string file_name;        ///< of Content-Disposition; may be empty
  Digest content;

  bool can_be_asked_for() const { return !etag.empty() || time_is_strong; }
};

/// Thread-safe, shared by concurrent processes.
class HttpValidators {
 public:
  explicit HttpValidators(Database& database);

  /// What is known of a request (its URL and authorization, as a digest) and can be asked for.
  std::optional<HttpVersion> find(const Digest& request);
  /// Remembers, or forgets if `version` cannot be asked for.
  void put(const Digest& request, const HttpVersion& version);

  static HttpVersion of(const HttpResponse& response, const Digest& content);
  /// Whether two ETags name the same version (weak comparison, RFC 9110, 8.8.3.2).
  static bool same_etag(std::string_view a, std::string_view b);

 private:
  Database& database_;
};

/// The file name in a Content-Disposition field (RFC 6266), without its directories; "" if there is
/// none.
std::string disposition_file_name(std::string_view field);

}  // namespace lade
