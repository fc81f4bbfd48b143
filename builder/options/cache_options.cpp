#include "builder/options/cache_options.hpp"

#include <chrono>
#include <functional>
#include <map>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "builder/options/build_values.hpp"
#include "builder/options/csv.hpp"
#include "builder/options/output.hpp"
#include "builder/options/usage.hpp"
#include "parser/grammar.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

CacheAttributes read_attributes(const std::string& text) {
  const auto fields = parse_csv(text);
  if (fields.size() == 1 && fields[0].find('=') == std::string::npos) {
    return {{"type", "registry"}, {"ref", fields[0]}};
  }
  CacheAttributes out;
  for (const auto& field : fields) {
    const auto equals = field.find('=');
    if (equals == std::string::npos) {
      const bool is_first = &field == fields.data();
      throw_usage(fmt::format("{} is not of the form key=value", lade::quoted(field)),
                  is_first ? fmt::format("a bare NAME stands alone; with options it is "
                                         "type=registry,ref={},...",
                                         field)
                           : "");
    }
    out[to_lower(trim(field.substr(0, equals)))] = field.substr(equals + 1);
  }
  return out;
}

/// Takes attributes one by one, so that what nobody took is known to be wrong.
class Taker {
 public:
  explicit Taker(CacheAttributes attributes) : attributes_(std::move(attributes)) {}

  std::optional<std::string> take(const std::string& key) {
    asked_.push_back(key);
    const auto found = attributes_.extract(key);
    return found ? std::optional(found.mapped()) : std::nullopt;
  }
  std::string need(const std::string& key, const std::string& type) {
    const auto value = take(key);
    if (!value || value->empty()) throw_usage(fmt::format("type={} needs {}=", type, key));
    return *value;
  }
  bool flag(const std::string& key, bool fallback) {
    const auto value = take(key);
    if (!value) return fallback;
    const auto parsed = parser::boolean(*value);
    if (!parsed) throw_usage(fmt::format("{}={} is neither true nor false", key, *value));
    return *parsed;
  }
  void done() const {
    if (attributes_.empty()) return;
    const std::string& key = attributes_.begin()->first;
    const std::string meant = nearest(key, asked_);
    throw_usage(fmt::format("there is no option {} for this type", lade::quoted(key)),
                meant.empty() ? "" : "did you mean " + meant + "?");
  }

 private:
  CacheAttributes attributes_;
  std::vector<std::string> asked_;
};

CacheType take_type(Taker& in, bool writing) {
  const std::string text = in.take("type").value_or("");
  if (text == "registry") return CacheType::registry;
  if (text == "local") return CacheType::local;
  if (text == "s3") return CacheType::s3;
  if (text == "inline" && writing) return CacheType::inlined;
  if (text == "inline") {
    throw_usage("type=inline is for --cache-to", "read it with type=registry,ref=IMAGE");
  }
  const std::string known = writing ? "registry, local, s3, inline" : "registry, local, s3";
  throw_usage(text.empty() ? "type= is missing; there are: " + known
                           : fmt::format("type={} is not one of: {}", text, known));
}

/// With the names, defaults and variables that BuildKit has, but for `name`: the two builders'
/// documents are not the same.
S3CacheOptions take_s3(Taker& in) {
  S3CacheOptions out;
  S3Options& bucket = out.bucket;
  bucket.bucket = in.take("bucket").value_or(sys::getenv("AWS_BUCKET"));
  if (bucket.bucket.empty()) throw_usage("type=s3 needs bucket=, or AWS_BUCKET");
  bucket.region = in.take("region").value_or("");
  bucket.endpoint_url = in.take("endpoint_url").value_or("");
  bucket.use_path_style = in.flag("use_path_style", false);
  const auto id = in.take("access_key_id");
  const auto secret = in.take("secret_access_key");
  const auto token = in.take("session_token");
  if (id.has_value() != secret.has_value() || (token && !id)) {
    throw_usage("access_key_id= and secret_access_key= go together");
  }
  if (id) bucket.credentials = AwsCredentials{*id, *secret, token.value_or("")};
  out.prefix = in.take("prefix").value_or("");
  out.manifests_prefix = in.take("manifests_prefix").value_or(out.manifests_prefix);
  out.blobs_prefix = in.take("blobs_prefix").value_or(out.blobs_prefix);
  if (const auto names = in.take("name")) out.names = split(*names, ';');
  std::erase(out.names, "");
  if (out.names.empty()) throw_usage("name= is empty");
  return out;
}

CachePlace take_place(Taker& in, CacheType type, const char* directory_key) {
  CachePlace place;
  place.type = type;
  if (type == CacheType::registry) {
    place.where = Reference::parse(in.need("ref", "registry")).str();
    place.insecure = in.flag("registry.insecure", false);
  } else if (type == CacheType::local) {
    place.where = join_path(sys::current_directory(), in.need(directory_key, "local"));
    place.tag = in.take("tag").value_or("latest");
  } else if (type == CacheType::s3) {
    place.s3 = take_s3(in);
  }
  if (type != CacheType::inlined) place.mounts = in.flag("mounts", false);
  return place;
}

/// What matters where blobs are written only.
void take_s3_upload(Taker& in, CacheTarget& target) {
  if (const auto refresh = in.take("touch_refresh")) {
    target.place.s3.touch_refresh =
        std::chrono::duration_cast<std::chrono::seconds>(parse_duration(*refresh));
  }
  if (const auto threads = in.take("upload_parallelism")) {
    const int count = parse_count(*threads);
    if (count < 1) throw_usage("upload_parallelism= must be at least 1");
    target.parallelism = static_cast<size_t>(count);
  }
}

CompressionOptions take_compression(Taker& in, const std::string& type) {
  CompressionOptions out;
  const auto known = compression_named(type);
  if (!known) {
    throw_usage(fmt::format("compression={} is not one of: uncompressed, gzip, zstd", type));
  }
  out.type = *known;
  if (const auto level = in.take("compression-level")) {
    out.level = parse_count(*level);
  }
  out.force = in.flag("force-compression", false);
  return out;
}

}  // namespace

std::string CachePlace::name() const {
  if (type == CacheType::registry) return "registry:" + where;
  if (type == CacheType::inlined) return "inline";
  if (type == CacheType::s3) {
    const std::string& endpoint = s3.bucket.endpoint_url;
    return fmt::format("s3:{}{}{}/{}{}{}", endpoint, endpoint.empty() ? "" : "/", s3.bucket.bucket,
                       s3.prefix, s3.manifests_prefix, join(s3.names, ";"));
  }
  return fmt::format("local:{}:{}", where, tag);
}

CachePlace parse_cache_from(const std::string& text) {
  return cache_source(read_attributes(text));
}

CacheTarget parse_cache_to(const std::string& text) {
  return cache_target(read_attributes(text));
}

CachePlace cache_source(const CacheAttributes& attributes) {
  Taker in(attributes);
  CachePlace place = take_place(in, take_type(in, false), "src");
  if (place.type == CacheType::local) {
    if (const auto digest = in.take("digest")) place.digest = Digest::parse(*digest);
  }
  in.done();
  return place;
}

CacheTarget cache_target(const CacheAttributes& attributes) {
  Taker in(attributes);
  CacheTarget target;
  target.place = take_place(in, take_type(in, true), "dest");
  const std::string mode = in.take("mode").value_or("min");
  if (mode != "min" && mode != "max") throw_usage("mode=" + mode + " is not one of: min, max");
  target.all_steps = mode == "max";
  target.reexport = in.flag("reexport", false);
  if (target.place.type == CacheType::inlined) {
    if (target.all_steps) {
      throw_usage("mode=max: an image has the layers of its own steps only",
                  "keep the others' in a cache of type=registry");
    }
    in.done();
    return target;
  }
  target.ignore_error = in.flag("ignore-error", false);
  if (target.place.type == CacheType::s3) take_s3_upload(in, target);
  if (const auto compression = in.take("compression")) {
    target.compression = take_compression(in, *compression);
  }
  // Caches are always OCI manifests; the other choices of docker's would be another format.
  for (const char* key : {"oci-mediatypes", "image-manifest"}) {
    if (!in.flag(key, true)) throw_usage(fmt::format("{}=false is not supported", key));
  }
  in.done();
  return target;
}

}  // namespace lade
