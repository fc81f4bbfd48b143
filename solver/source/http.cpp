#include "solver/source/http.hpp"

#include <charconv>
#include <map>
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "solver/lower/remote.hpp"
#include "solver/source/http_validators.hpp"

namespace lade {
namespace {

constexpr size_t kBuffer = 256 * 1024;
constexpr uint32_t kDefaultMode = 0600;

uint32_t number_attribute(const SourceOp& op, const char* name, int base, uint32_t fallback) {
  const std::string text = op.attr(name);
  if (text.empty()) return fallback;
  uint32_t value = 0;
  const auto end = text.data() + text.size();
  if (std::from_chars(text.data(), end, value, base).ptr != end) {
    throw Error(fmt::format("{} is no {}", quoted(text), name));
  }
  return value;
}

/// The usual words for a status (RFC 9110, 15).
std::string status_text(int status) {
  static const std::map<int, const char*> kNames = {{400, "Bad Request"},
                                                    {401, "Unauthorized"},
                                                    {403, "Forbidden"},
                                                    {404, "Not Found"},
                                                    {405, "Method Not Allowed"},
                                                    {406, "Not Acceptable"},
                                                    {407, "Proxy Authentication Required"},
                                                    {408, "Request Timeout"},
                                                    {410, "Gone"},
                                                    {412, "Precondition Failed"},
                                                    {416, "Range Not Satisfiable"},
                                                    {451, "Unavailable For Legal Reasons"}};
  const auto name = kNames.find(status);
  return name == kNames.end() ? fmt::format("{}", status)
                              : fmt::format("{} {}", status, name->second);
}

/// A file to get, as the op says.
struct WantedFile {
  explicit WantedFile(const SourceOp& op)
      : url(op.identifier),
        file_name(op.attr("filename")),
        mode(number_attribute(op, "perm", 8, kDefaultMode)),
        uid(number_attribute(op, "uid", 10, 0)),
        gid(number_attribute(op, "gid", 10, 0)) {
    if (const auto text = op.attr("checksum"); !text.empty()) checksum = Digest::parse(text);
    const auto parts = parse_url(url);
    if (!parts || parts->host_name().empty()) throw Error("not a URL");
    host = parts->host_name();
    if (parts->userinfo.empty()) return;
    // What a browser does with "user:password@": Basic authentication (RFC 7617).
    authorization = "Basic " + base64(percent_decode(parts->userinfo).value_or(parts->userinfo));
    url.erase(url.find("://") + 3, parts->userinfo.size() + 1);
  }

  std::string url;  ///< without user and password
  std::string host;
  std::string authorization;
  std::string file_name;  ///< empty: the server or the URL says
  std::optional<Digest> checksum;
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;

  std::string name(const std::string& disposition) const {
    if (!file_name.empty()) return safe_file_name(file_name);
    if (!disposition.empty()) return safe_file_name(disposition);
    return http_file_name(url);
  }

  Digest key(const Digest& content, const std::string& name,
             std::optional<int64_t> modified) const {
    WireWriter writer;
    writer.text("lade http 1").digest(content).text(name).number(mode).number(uid).number(gid);
    writer.number(modified.has_value()).number(modified.value_or(0));
    return Digest::of(writer.str());
  }
};

/// A downloaded file that is no layer yet.
struct Download {
  PendingLayer layer;
  Entry file;
};

class HttpSource : public RemoteSource {
 public:
  HttpSource(StateDir& state, const RemoteSourceOptions& options, const Cancellation& cancellation)
      : state_(state),
        options_(options),
        cancellation_(cancellation),
        validators_(state.database()),
        client_(HttpClient::create(options.http)) {}

  Digest resolve(const SourceOp& op, const TransferProgress& progress) override;
  LayerId fetch(const SourceOp& op, const TransferProgress& progress) override;
  std::optional<std::string> pin(const SourceOp& op) override;

 private:
  /// What resolve() found out, for fetch().
  struct Resolved {
    Digest content;
    std::optional<Download> download;
  };

  HttpRequest request(const WantedFile& wanted) const;
  std::unique_ptr<HttpResponse> send(const HttpRequest& request);
  Download download(const WantedFile& wanted, HttpResponse& response,
                    const TransferProgress& progress) const;
  Digest save(HttpResponse& response, int file, const std::string& name,
              const TransferProgress& progress) const;
  Download download_again(const WantedFile& wanted, const TransferProgress& progress);

  StateDir& state_;
  const RemoteSourceOptions& options_;
  const Cancellation& cancellation_;
  HttpValidators validators_;
  std::unique_ptr<HttpClient> client_;
  std::mutex mutex_;  // guards resolved_
  std::map<SourceOp, Resolved> resolved_;
};

HttpRequest HttpSource::request(const WantedFile& wanted) const {
  HttpRequest request;
  request.url = wanted.url;
  request.authorization = wanted.authorization;
  request.large = true;
  request.canceled = [this] { return cancellation_.canceled(); };
  for (const auto& [prefix, scheme] :
       {std::pair("HTTP_AUTH_HEADER_", ""), std::pair("HTTP_AUTH_TOKEN_", "Bearer ")}) {
    const auto secret = options_.secrets.find(prefix + wanted.host);
    if (secret == options_.secrets.end()) continue;
    request.authorization = scheme + std::string(trim(secret->second));
  }
  if (request.authorization.find_first_of("\r\n") != std::string::npos) {
    throw Error("the secret for " + wanted.host + " has several lines");
  }
  return request;
}

std::unique_ptr<HttpResponse> HttpSource::send(const HttpRequest& request) {
  auto response = client_->send(request);
  const int status = response->status();
  if ((status < 200 || status >= 300) && status != 304) {
    throw Error("server said " + status_text(status),
                status == 404 || status == 410 ? ErrorKind::not_found : ErrorKind::general);
  }
  return response;
}

Digest HttpSource::resolve(const SourceOp& op, const TransferProgress& progress) {
  const WantedFile wanted(op);
  if (wanted.checksum) return wanted.key(*wanted.checksum, wanted.name(""), std::nullopt);
  HttpRequest asked = request(wanted);
  const Digest question = Digest::of(WireWriter().text(wanted.url).text(asked.authorization).str());
  const auto known = validators_.find(question);
  if (options_.http.offline && known) {
    const std::lock_guard lock(mutex_);
    resolved_.insert_or_assign(op, Resolved{known->content, {}});
    return wanted.key(known->content, wanted.name(known->file_name),
                      parse_http_date(known->last_modified));
  }
  if (known) {
    asked.headers.push_back(known->etag.empty() ? "If-Modified-Since: " + known->last_modified
                                                : "If-None-Match: " + known->etag);
  }
  HttpVersion version;
  Resolved resolved;
  client_->retry([&] {
    const auto response = send(asked);
    if (response->status() == 304 && !known) throw Error("server said 304 without being asked");
    // A server that knows nothing of conditions may still say which version it sends: what is the
    // same is not read.
    if (known && (response->status() == 304 ||
                  HttpValidators::same_etag(response->header("etag"), known->etag))) {
      version = *known;
      return;
    }
    resolved.download = download(wanted, *response, progress);
    version = HttpValidators::of(*response, resolved.download->file.content);
    validators_.put(question, version);
  });
  resolved.content = version.content;
  const Digest key = wanted.key(version.content, wanted.name(version.file_name),
                                parse_http_date(version.last_modified));
  const std::lock_guard lock(mutex_);
  resolved_.insert_or_assign(op, std::move(resolved));
  return key;
}

Download HttpSource::download(const WantedFile& wanted, HttpResponse& response,
                              const TransferProgress& progress) const {
  Download out{.layer = state_.layers().prepare(), .file = {}};
  out.file.path = wanted.name(disposition_file_name(response.header("content-disposition")));
  const UniqueFd dir = sys::open(out.layer.path(), O_RDONLY | O_DIRECTORY);
  const UniqueFd file =
      sys::openat(dir.get(), out.file.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  out.file.content = save(response, file.get(), out.file.path, progress);
  if ((wanted.uid != 0 || wanted.gid != 0) && ::fchown(file.get(), wanted.uid, wanted.gid) != 0) {
    throw_errno("could not change the owner of the file");
  }
  if (::fchmod(file.get(), wanted.mode) != 0) throw_errno("could not change the file's mode");
  const int64_t modified = parse_http_date(response.header("last-modified")).value_or(0);
  const timespec times[2] = {{modified, 0}, {modified, 0}};
  if (::futimens(file.get(), times) != 0 || ::futimens(dir.get(), times) != 0) {
    throw_errno("could not change the file's time");
  }
  const struct stat info = sys::fstat(file.get());
  out.file.type = EntryType::regular;
  out.file.mode = info.st_mode & 07777;
  out.file.uid = info.st_uid;
  out.file.gid = info.st_gid;
  out.file.size = static_cast<uint64_t>(info.st_size);
  out.file.mtime_sec = modified;
  return out;
}

Digest HttpSource::save(HttpResponse& response, int file, const std::string& name,
                        const TransferProgress& progress) const {
  const auto length = response.length();
  const auto refuse = [&] {
    throw Error(fmt::format("the file is larger than {} bytes", options_.max_download));
  };
  if (length && *length > options_.max_download) refuse();
  FdSink to(file);
  HashSink hashing(&to);
  std::string buffer(kBuffer, '\0');
  while (const size_t count = response.read(buffer.data(), buffer.size())) {
    if (hashing.size() + count > options_.max_download) refuse();
    hashing.write(std::string_view(buffer).substr(0, count));
    if (progress) progress(name, hashing.size(), length.value_or(0));
  }
  return hashing.digest();
}

Download HttpSource::download_again(const WantedFile& wanted, const TransferProgress& progress) {
  std::optional<Download> out;
  client_->retry([&] {
    const auto response = send(request(wanted));
    if (response->status() == 304) throw Error("server said 304 without being asked");
    out = download(wanted, *response, progress);
  });
  return std::move(*out);
}

std::optional<std::string> HttpSource::pin(const SourceOp& op) {
  if (const auto checksum = op.attr("checksum"); !checksum.empty()) return checksum;
  const std::lock_guard lock(mutex_);
  const auto resolved = resolved_.find(op);
  if (resolved == resolved_.end()) return std::nullopt;
  return resolved->second.content.str();
}

LayerId HttpSource::fetch(const SourceOp& op, const TransferProgress& progress) {
  const WantedFile wanted(op);
  std::optional<Download> got;
  std::optional<Digest> expected = wanted.checksum;
  {
    const std::lock_guard lock(mutex_);
    const auto resolved = resolved_.find(op);
    if (resolved != resolved_.end()) {
      expected = resolved->second.content;
      got = std::exchange(resolved->second.download, std::nullopt);
    }
  }
  if (!got) got = download_again(wanted, progress);
  const Digest content = got->file.content;
  if (wanted.checksum && content != *wanted.checksum) {
    Error error(
        fmt::format("digest mismatch: {} (expected: {})", content.str(), wanted.checksum->str()),
        ErrorKind::corrupt);
    error.set_hint("the file is not the one that --checksum was made for");
    throw error;
  }
  if (expected && content != *expected) throw Error("the file changed while building");
  Entry root;
  root.type = EntryType::directory;
  root.mode = 0755;
  root.uid = ::geteuid();
  root.gid = ::getegid();
  root.mtime_sec = got->file.mtime_sec;
  return state_.layers().commit(std::move(got->layer),
                                LayerIndex({std::move(root), std::move(got->file)}));
}

}  // namespace

std::unique_ptr<RemoteSource> make_http_source(StateDir& state, const RemoteSourceOptions& options,
                                               const Cancellation& cancellation) {
  return std::make_unique<HttpSource>(state, options, cancellation);
}

}  // namespace lade
