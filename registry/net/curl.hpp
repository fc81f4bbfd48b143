// libcurl, loaded when the first request is made: it and its own libraries cost milliseconds to
// load, which a build that needs no registry must not pay.
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <curl/curl.h>

#include "base/error.hpp"

namespace lade {

/// The functions of libcurl that lade calls. Loaded once per process and never unloaded. Immutable.
class CurlLibrary {
 public:
  /// Throws Error naming the package to install if there is no libcurl.
  static const CurlLibrary& get();

  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_reset) easy_reset;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_pause) easy_pause;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_multi_init) multi_init;
  decltype(&::curl_multi_cleanup) multi_cleanup;
  decltype(&::curl_multi_add_handle) multi_add_handle;
  decltype(&::curl_multi_remove_handle) multi_remove_handle;
  decltype(&::curl_multi_perform) multi_perform;
  decltype(&::curl_multi_poll) multi_poll;
  decltype(&::curl_multi_info_read) multi_info_read;
  decltype(&::curl_multi_strerror) multi_strerror;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;

 private:
  CurlLibrary();
};

/// One easy handle and the multi handle that drives it. The multi handle keeps the connections of
/// earlier requests open, so a CurlHandle that is used again saves the handshakes. For one thread
/// at a time.
class CurlHandle {
 public:
  CurlHandle();
  ~CurlHandle();
  CurlHandle(const CurlHandle&) = delete;
  CurlHandle& operator=(const CurlHandle&) = delete;

  /// Forgets all options and ends a transfer that is under way; open connections stay.
  void reset();

  template <class Value>
  void set(CURLoption option, Value value) {
    // The function is variadic: what is no long, pointer or curl_off_t would be misread.
    static_assert(std::is_same_v<Value, long> || std::is_pointer_v<Value>);
    check(library_.easy_setopt(easy_, option, value), "could not set up a request");
  }
  void add_header(const std::string& line);
  /// Trusts the certificates (PEM) in `bundle`, beside the system's.
  void trust(const std::string& bundle);

  /// Begins the transfer; perform() until it says that it is over.
  void start();
  /// Moves what can be moved without waiting. True once the transfer is over; then result() is
  /// valid.
  bool perform();
  /// Waits until something can be moved, at most `milliseconds`.
  void wait(int milliseconds);
  /// Lets the write callback be called again after it said CURL_WRITEFUNC_PAUSE.
  void resume();

  CURLcode result() const { return result_; }
  std::string failure() const;  ///< what went wrong in libcurl's words, lower case
  std::string redirect_url() const;
  long retry_after() const;  ///< seconds, 0 if the server did not say

 private:
  void check(CURLcode code, const char* what) const;
  void check(CURLMcode code, const char* what) const;
  void end_transfer();

  const CurlLibrary& library_;
  CURLM* multi_ = nullptr;
  CURL* easy_ = nullptr;
  struct curl_slist* headers_ = nullptr;
  bool started_ = false;
  CURLcode result_ = CURLE_OK;
  char error_[CURL_ERROR_SIZE] = {};
};

}  // namespace lade
