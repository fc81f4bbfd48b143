// One call of a credential helper: docker-credential-NAME, as docker-credential-helpers specifies
// it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "registry/auth/credentials.hpp"

namespace lade {

struct HelperOptions {
  /// A helper that has not ended by then is killed with all that it started: it may have asked
  /// somebody who is not there.
  std::chrono::milliseconds timeout{60'000};
  std::string path;  ///< directories that are searched; empty: $PATH
};

/// Throws Error if NAME is no plain name, is not installed, fails or says nonsense.
class CredentialHelper {
 public:
  explicit CredentialHelper(std::string name, HelperOptions options = {});

  /// nullopt if the helper has nothing for `key`.
  std::optional<Credentials> get(const std::string& key) const;
  void store(const std::string& key, const Credentials& credentials) const;
  void erase(const std::string& key) const;

 private:
  struct Output {
    int exit_code;
    std::string text;
  };
  Output run(const char* verb, std::string_view input) const;
  [[noreturn]] void fail(const char* verb, const Output& output) const;

  std::string program_;
  HelperOptions options_;
};

}  // namespace lade
