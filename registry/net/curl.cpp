#include "registry/net/curl.hpp"

#include <new>

#include <dlfcn.h>
#include <fmt/format.h>

namespace lade {
namespace {

constexpr const char* kSystemAuthorities = "/etc/ssl/certs";

/// Debian has libcurl with OpenSSL and with GnuTLS; either will do.
void* open_library() {
  for (const char* name : {"libcurl.so.4", "libcurl-gnutls.so.4"}) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
  }
  Error error(
      fmt::format("registries and URLs need libcurl, which could not be loaded: {}", dlerror()));
  error.set_hint("install the package libcurl4");
  throw error;
}

template <class Function>
void load(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) throw Error(fmt::format("this libcurl is too old: it has no {}", name));
}

}  // namespace

CurlLibrary::CurlLibrary() {
  void* const library = open_library();
  decltype(&::curl_global_init) global_init = nullptr;
  load(library, "curl_global_init", global_init);
  load(library, "curl_easy_init", easy_init);
  load(library, "curl_easy_cleanup", easy_cleanup);
  load(library, "curl_easy_reset", easy_reset);
  load(library, "curl_easy_setopt", easy_setopt);
  load(library, "curl_easy_getinfo", easy_getinfo);
  load(library, "curl_easy_pause", easy_pause);
  load(library, "curl_easy_strerror", easy_strerror);
  load(library, "curl_multi_init", multi_init);
  load(library, "curl_multi_cleanup", multi_cleanup);
  load(library, "curl_multi_add_handle", multi_add_handle);
  load(library, "curl_multi_remove_handle", multi_remove_handle);
  load(library, "curl_multi_perform", multi_perform);
  load(library, "curl_multi_poll", multi_poll);
  load(library, "curl_multi_info_read", multi_info_read);
  load(library, "curl_multi_strerror", multi_strerror);
  load(library, "curl_slist_append", slist_append);
  load(library, "curl_slist_free_all", slist_free_all);
  if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw Error("could not set up libcurl");
}

const CurlLibrary& CurlLibrary::get() {
  static const CurlLibrary library;
  return library;
}

CurlHandle::CurlHandle() : library_(CurlLibrary::get()) {
  multi_ = library_.multi_init();
  easy_ = library_.easy_init();
  if (!multi_ || !easy_) {
    if (easy_) library_.easy_cleanup(easy_);
    if (multi_) library_.multi_cleanup(multi_);
    throw std::bad_alloc();
  }
}

CurlHandle::~CurlHandle() {
  end_transfer();
  library_.easy_cleanup(easy_);
  library_.multi_cleanup(multi_);
  library_.slist_free_all(headers_);
}

void CurlHandle::reset() {
  end_transfer();
  library_.easy_reset(easy_);
  library_.slist_free_all(headers_);
  headers_ = nullptr;
  result_ = CURLE_OK;
  error_[0] = '\0';
  set(CURLOPT_ERRORBUFFER, static_cast<char*>(error_));
}

void CurlHandle::add_header(const std::string& line) {
  auto* const longer = library_.slist_append(headers_, line.c_str());
  if (!longer) throw std::bad_alloc();
  headers_ = longer;
}

void CurlHandle::trust(const std::string& bundle) {
  struct curl_blob blob = {};
  blob.data = const_cast<char*>(bundle.data());
  blob.len = bundle.size();
  blob.flags = CURL_BLOB_COPY;
  // The system's authorities come from the directory: the bundle takes the place of their file.
  const CURLcode code = library_.easy_setopt(easy_, CURLOPT_CAINFO_BLOB, &blob);
  if (code == CURLE_OK) return set(CURLOPT_CAPATH, kSystemAuthorities);
  Error error(fmt::format("this libcurl cannot trust other authorities than the system's: {}",
                          library_.easy_strerror(code)));
  error.set_hint("install the package libcurl4");
  throw error;
}

void CurlHandle::start() {
  set(CURLOPT_HTTPHEADER, headers_);
  check(library_.multi_add_handle(multi_, easy_), "could not start a request");
  started_ = true;
}

bool CurlHandle::perform() {
  int running = 0;
  check(library_.multi_perform(multi_, &running), "could not transfer");
  int left = 0;
  while (const CURLMsg* message = library_.multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    result_ = message->data.result;
    end_transfer();
    return true;
  }
  return false;
}

void CurlHandle::wait(int milliseconds) {
  check(library_.multi_poll(multi_, nullptr, 0, milliseconds, nullptr), "could not wait");
}

void CurlHandle::resume() {
  check(library_.easy_pause(easy_, CURLPAUSE_CONT), "could not go on with a transfer");
}

std::string CurlHandle::failure() const {
  std::string text = error_[0] ? error_ : library_.easy_strerror(result_);
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z')) {
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  }
  return text;
}

std::string CurlHandle::redirect_url() const {
  char* url = nullptr;
  library_.easy_getinfo(easy_, CURLINFO_REDIRECT_URL, &url);
  return url ? url : "";
}

long CurlHandle::retry_after() const {
  curl_off_t seconds = 0;
  library_.easy_getinfo(easy_, CURLINFO_RETRY_AFTER, &seconds);
  return static_cast<long>(seconds);
}

void CurlHandle::end_transfer() {
  if (!started_) return;
  library_.multi_remove_handle(multi_, easy_);
  started_ = false;
}

void CurlHandle::check(CURLcode code, const char* what) const {
  if (code != CURLE_OK) throw Error(fmt::format("{}: {}", what, library_.easy_strerror(code)));
}

void CurlHandle::check(CURLMcode code, const char* what) const {
  if (code != CURLM_OK) throw Error(fmt::format("{}: {}", what, library_.multi_strerror(code)));
}

}  // namespace lade
