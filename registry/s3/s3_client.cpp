#include "registry/s3/s3_client.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "registry/auth/files.hpp"
#include "registry/net/certificates.hpp"
#include "registry/s3/xml_text.hpp"
#include "registry/verified_source.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxAnswer = 1u << 20;
constexpr uint64_t kPart = 16u << 20;
constexpr uint64_t kMaxParts = 10'000;
constexpr uint64_t kInOneRequest = 32u << 20;
constexpr uint64_t kMaxCopy = uint64_t{5} << 30;

/// "20130524T000000Z"
std::string time_now() {
  const std::time_t now = std::time(nullptr);
  struct tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  const size_t size = std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc);
  return {text, size};
}

/// A key as the path of a URL has it: all but the slashes encoded.
std::string encode_key(const std::string& key) {
  std::vector<std::string> parts = split(key, '/');
  for (auto& part : parts) part = url_encode(part);
  return join(parts, "/");
}

bool is_address(std::string_view host) {
  if (host.starts_with('[')) return true;
  struct in_addr address{};
  return ::inet_pton(AF_INET, std::string(host.substr(0, host.find(':'))).c_str(), &address) == 1;
}

/// Whether the bucket's name can stand before a host's, and still be covered by its certificate.
bool fits_in_host(const std::string& bucket) {
  return !bucket.empty() && std::all_of(bucket.begin(), bucket.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

/// Bytes that stay in memory, read as often as needed.
HttpBody body_of(std::shared_ptr<const std::string> bytes) {
  class Source : public ByteSource {
   public:
    explicit Source(std::shared_ptr<const std::string> bytes) : bytes_(std::move(bytes)) {}
    size_t read(char* buffer, size_t size) override {
      const size_t count = bytes_->copy(buffer, size, offset_);
      offset_ += count;
      return count;
    }

   private:
    std::shared_ptr<const std::string> bytes_;
    size_t offset_ = 0;
  };
  const uint64_t size = bytes->size();
  return {size, [bytes = std::move(bytes)] { return std::make_unique<Source>(bytes); }};
}

}  // namespace

struct S3Client::Request {
  HttpMethod method = HttpMethod::get;
  std::string key;
  std::vector<std::pair<std::string, std::string>> query{};
  /// Names in lower case; all of them are signed.
  std::map<std::string, std::string> headers{};
  HttpBody body{};
  Digest body_digest = Digest::of("");
  bool large = false;  ///< HttpRequest's
};

struct S3Client::Endpoint {
  std::string origin;       ///< "https://bucket.s3.eu-west-1.amazonaws.com"
  std::string host;         ///< as the Host header has it
  std::string path_prefix;  ///< "/bucket" in path style
  std::string region;
  AwsCredentials credentials;
  std::shared_ptr<const TlsOptions> tls;
};

/// Reads one object as a blob, goes on after cuts.
class S3Source : public ByteSource {
 public:
  S3Source(std::shared_ptr<S3Client> client, std::string key, const Descriptor& blob)
      : client_(std::move(client)), key_(std::move(key)), blob_(blob) {
    client_->http_->retry([&] { connect(); });
  }

  size_t read(char* buffer, size_t size) override {
    if (size == 0 || offset_ == blob_.size) return 0;
    size_t count = 0;
    client_->http_->retry([&] { count = read_once(buffer, size); });
    return count;
  }

 private:
  void connect() {
    S3Client::Request request{.key = key_, .large = true};
    if (offset_ > 0) request.headers["range"] = fmt::format("bytes={}-", offset_);
    response_ = client_->send(request);
    const int status = response_->status();
    if (!is_success(status)) client_->fail(*response_);
    if (status == 200 && offset_ > 0) {
      throw Error(client_->where() + " knows no ranges", ErrorKind::unavailable);
    }
    const auto length = response_->length();
    if (length && *length != blob_.size - offset_) {
      throw Error(fmt::format("{}/{} has {} bytes, its descriptor says {}", client_->where(), key_,
                              offset_ + *length, blob_.size),
                  ErrorKind::corrupt);
    }
  }

  size_t read_once(char* buffer, size_t size) {
    try {
      if (!response_) connect();
      const size_t count = response_->read(buffer, std::min<uint64_t>(size, blob_.size - offset_));
      if (count == 0) throw TransientError(client_->where() + " ended an object too early");
      offset_ += count;
      return count;
    } catch (const TransientError& error) {
      response_.reset();
      const auto attempts = static_cast<uint64_t>(client_->http_->options().attempts);
      if (++cuts_ > attempts + offset_ / kBytesPerCut) {
        throw Error(error.message(), ErrorKind::unavailable);
      }
      throw;
    }
  }

  std::shared_ptr<S3Client> client_;
  const std::string key_;
  const Descriptor blob_;
  std::unique_ptr<HttpResponse> response_;
  uint64_t offset_ = 0;
  uint64_t cuts_ = 0;
};

std::shared_ptr<S3Client> S3Client::create(S3Options options, HttpOptions http) {
  return std::shared_ptr<S3Client>(new S3Client(std::move(options), http));
}

S3Client::S3Client(S3Options options, HttpOptions http)
    : options_(std::move(options)), http_(HttpClient::create(http)) {}

std::string S3Client::where() const {
  return "s3://" + options_.bucket;
}

const S3Client::Endpoint& S3Client::endpoint() {
  const std::lock_guard lock(mutex_);
  if (endpoint_) return *endpoint_;
  const AwsConfig config = AwsConfig::of_user();
  auto out = std::make_unique<Endpoint>();
  const std::string& url =
      options_.endpoint_url.empty() ? config.endpoint_url : options_.endpoint_url;
  out->region = options_.region.empty() ? config.region : options_.region;
  if (out->region.empty() && url.empty()) {
    Error error("the region of " + where() + " is not known");
    error.set_hint("say it with region=, or in AWS_REGION");
    throw error;
  }
  // Servers other than Amazon's take any.
  if (out->region.empty()) out->region = "us-east-1";
  const auto credentials = options_.credentials ? options_.credentials : config.credentials;
  if (!credentials) {
    Error error("there are no credentials for " + where());
    error.set_hint(
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or keep them in ~/.aws/credentials");
    throw error;
  }
  out->credentials = *credentials;

  std::string origin = "https://s3." + out->region + ".amazonaws.com";
  if (out->region.starts_with("cn-")) origin += ".cn";
  std::string path;
  if (!url.empty()) {
    origin = url_origin(url);
    path = url.substr(origin.size());
    while (path.ends_with('/')) path.pop_back();
    if (!origin.starts_with("http://") && !origin.starts_with("https://")) {
      throw Error(quoted(url) + " is not a URL of an S3 server");
    }
  }
  const size_t host = origin.find("://") + 3;
  const bool in_path =
      options_.use_path_style || !fits_in_host(options_.bucket) || is_address(origin.substr(host));
  if (in_path) {
    path += "/" + url_encode(options_.bucket);
  } else {
    origin.insert(host, options_.bucket + ".");
  }
  out->origin = origin;
  out->host = origin.substr(host);
  // As libcurl sends it: without a port that goes without saying.
  for (const auto& [scheme, port] : {std::pair("http://", ":80"), std::pair("https://", ":443")}) {
    if (origin.starts_with(scheme) && out->host.ends_with(port)) {
      out->host.resize(out->host.size() - std::string_view(port).size());
    }
  }
  out->path_prefix = path;
  out->tls = std::make_shared<const TlsOptions>(
      host_certificates(RegistryFiles::of_user().certificates, out->host));
  endpoint_ = std::move(out);
  return *endpoint_;
}

std::unique_ptr<HttpResponse> S3Client::send(const Request& request) {
  const Endpoint& at = endpoint();
  const std::string time = time_now();
  AwsRequest to_sign{.method = method_name(request.method),
                     .path = at.path_prefix + "/" + encode_key(request.key),
                     .query = request.query,
                     .headers = request.headers,
                     .payload_digest = request.body_digest.hex()};
  to_sign.headers["x-amz-content-sha256"] = to_sign.payload_digest;
  to_sign.headers["x-amz-date"] = time;
  if (!at.credentials.session_token.empty()) {
    to_sign.headers["x-amz-security-token"] = at.credentials.session_token;
  }
  HttpRequest out;
  out.url = at.origin + to_sign.path;
  out.method = request.method;
  if (!request.query.empty()) out.url += "?" + canonical_query(to_sign);
  for (const auto& [name, value] : to_sign.headers) out.headers.push_back(name + ": " + value);
  to_sign.headers["host"] = at.host;
  out.authorization = aws_authorization(to_sign, at.credentials, at.region, "s3", time);
  out.body = request.body;
  out.large = request.large;
  // What is signed is signed for this host alone, and the token is a secret.
  out.secret_body = true;
  out.tls = at.tls;
  return http_->send(out);
}

void S3Client::fail(HttpResponse& response) {
  std::string body;
  try {
    body = read_all(response, kMaxAnswer, "the error's text");
  } catch (const Error&) {
    // The status alone has to do.
  }
  fail(response.status(), body);
}

void S3Client::fail(int status, std::string_view body) {
  const std::string code = xml_text(body, "Code").value_or("");
  const std::string message = xml_text(body, "Message").value_or("");
  std::string text = fmt::format("{} answered {}", where(), status);
  if (!code.empty()) text += " " + code;
  if (!message.empty()) text += ": " + quoted(message.substr(0, 300));
  if (code == "InternalError" || code == "SlowDown" || code == "RequestTimeout") {
    throw TransientError(text);
  }
  Error error(text, status == 404 ? ErrorKind::not_found : ErrorKind::general);
  if (code == "PermanentRedirect" || code == "AuthorizationHeaderMalformed") {
    error.set_hint("is region= the bucket's?");
  }
  throw error;
}

std::optional<S3Object> S3Client::head(const std::string& key) {
  std::optional<S3Object> out;
  http_->retry([&] {
    const auto response = send({.method = HttpMethod::head, .key = key});
    if (response->status() == 404) return;
    if (!is_success(response->status())) fail(*response);
    const auto length = response->length();
    if (!length) throw Error(fmt::format("{} does not say how large {} is", where(), key));
    out = S3Object{*length, parse_http_date(response->header("last-modified"))};
  });
  return out;
}

std::optional<std::string> S3Client::get(const std::string& key, uint64_t limit) {
  std::optional<std::string> out;
  http_->retry([&] {
    const auto response = send({.key = key});
    if (response->status() == 404) return;
    if (!is_success(response->status())) fail(*response);
    out = read_all(*response, limit, where() + "/" + key);
  });
  return out;
}

std::unique_ptr<ByteSource> S3Client::open(const std::string& key, const Descriptor& blob) {
  return std::make_unique<S3Source>(shared_from_this(), key, blob);
}

void S3Client::put(const std::string& key, std::string_view bytes, std::string_view content_type) {
  const Request request{.method = HttpMethod::put,
                        .key = key,
                        .headers = {{"content-type", std::string(content_type)}},
                        .body = HttpBody::of(std::string(bytes)),
                        .body_digest = Digest::of(bytes)};
  http_->retry([&] {
    const auto response = send(request);
    if (!is_success(response->status())) fail(*response);
  });
}

void S3Client::put_blob(const std::string& key, const Descriptor& blob, BlobProvider& source) {
  if (blob.size > kInOneRequest) return put_in_parts(key, blob, source);
  // Its digest is what the server wants to know of the body anyway.
  const Request request{.method = HttpMethod::put,
                        .key = key,
                        .headers = {{"content-type", "application/octet-stream"}},
                        .body = {blob.size,
                                 [&] {
                                   return std::make_unique<VerifiedSource>(source.open(blob), blob,
                                                                           0, nullptr);
                                 }},
                        .body_digest = blob.digest,
                        .large = true};
  http_->retry([&] {
    const auto response = send(request);
    if (!is_success(response->status())) fail(*response);
  });
}

/// Multipart upload: parts are sent again one by one if they are lost.
void S3Client::put_in_parts(const std::string& key, const Descriptor& blob, BlobProvider& source) {
  std::string upload;
  http_->retry([&] {
    const auto response = send({.method = HttpMethod::post,
                                .key = key,
                                .query = {{"uploads", ""}},
                                .headers = {{"content-type", "application/octet-stream"}}});
    if (!is_success(response->status())) fail(*response);
    const auto id = xml_text(read_all(*response, kMaxAnswer, "an answer"), "UploadId");
    if (!id || id->empty()) throw Error(where() + " began an upload without naming it");
    upload = *id;
  });
  try {
    const uint64_t size = std::max(kPart, (blob.size + kMaxParts - 1) / kMaxParts);
    VerifiedSource bytes(source.open(blob), blob, 0, nullptr);
    std::vector<std::string> tags;
    for (uint64_t done = 0; done < blob.size; done += size) {
      const uint64_t rest = blob.size - done;
      auto part = std::make_shared<std::string>(read_start(bytes, std::min(size, rest)));
      tags.push_back(put_part(key, upload, tags.size() + 1, std::move(part)));
    }
    complete(key, upload, blob, tags);
  } catch (const Error&) {
    try {
      send({.method = HttpMethod::delete_, .key = key, .query = {{"uploadId", upload}}});
    } catch (const Error&) {
      // What is left of it costs storage until the bucket's rules remove it; the failure matters.
    }
    throw;
  }
}

/// Returns the part's ETag.
std::string S3Client::put_part(const std::string& key, const std::string& upload, size_t number,
                               std::shared_ptr<const std::string> bytes) {
  const Request request{.method = HttpMethod::put,
                        .key = key,
                        .query = {{"partNumber", fmt::format("{}", number)}, {"uploadId", upload}},
                        .body = body_of(bytes),
                        .body_digest = Digest::of(*bytes),
                        .large = true};
  std::string tag;
  http_->retry([&] {
    const auto response = send(request);
    if (!is_success(response->status())) fail(*response);
    tag = response->header("etag");
    if (tag.empty()) throw Error(where() + " took a part without an ETag");
  });
  return tag;
}

void S3Client::complete(const std::string& key, const std::string& upload, const Descriptor& blob,
                        const std::vector<std::string>& tags) {
  std::string document = "<CompleteMultipartUpload>";
  for (size_t i = 0; i < tags.size(); ++i) {
    document += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1,
                            xml_escape(tags[i]));
  }
  document += "</CompleteMultipartUpload>";
  const Request request{.method = HttpMethod::post,
                        .key = key,
                        .query = {{"uploadId", upload}},
                        .headers = {{"content-type", "application/xml"}},
                        .body = HttpBody::of(document),
                        .body_digest = Digest::of(document),
                        .large = true};  // the server joins the parts
  int attempts = 0;
  http_->retry([&] {
    ++attempts;
    const auto response = send(request);
    const int status = response->status();
    if (status == 404 && attempts > 1) {
      // An earlier attempt may have done it before its answer was lost.
      const auto object = head(key);
      if (object && object->size == blob.size) return;
    }
    if (!is_success(status)) fail(*response);
    // The head is sent before the work is done: a failure comes in the body.
    const std::string body = read_all(*response, kMaxAnswer, "an answer");
    if (xml_text(body, "Code")) fail(status, body);
  });
}

void S3Client::touch(const std::string& key, const S3Object& object) {
  if (object.size > kMaxCopy) return;
  http_->retry([&] {
    const auto response =
        send({.method = HttpMethod::put,
              .key = key,
              // Without a change S3 refuses to copy something onto itself.
              .headers = {{"x-amz-copy-source",
                           "/" + url_encode(options_.bucket) + "/" + encode_key(key)},
                          {"x-amz-metadata-directive", "REPLACE"}},
              .large = true});  // the server copies it
    if (!is_success(response->status())) fail(*response);
    const std::string body = read_all(*response, kMaxAnswer, "an answer");
    if (xml_text(body, "Code")) fail(response->status(), body);
  });
}

}  // namespace lade
