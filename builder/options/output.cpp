#include "builder/options/output.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "builder/options/csv.hpp"
#include "builder/options/usage.hpp"

namespace lade {
namespace {

bool parse_bool(const std::string& key, const std::string& value) {
  const std::string lower = to_lower(value);
  if (lower == "true" || lower == "1" || lower == "t") return true;
  if (lower == "false" || lower == "0" || lower == "f") return false;
  throw_usage(fmt::format("--output {}={}: expected true or false", key, value));
}

OutputType parse_type(const std::string& text) {
  if (text == "image" || text == "registry") return OutputType::image;
  if (text == "oci") return OutputType::oci;
  if (text == "docker") return OutputType::docker;
  if (text == "local") return OutputType::local;
  if (text == "tar") return OutputType::tar;
  throw_usage(fmt::format("--output type={} is not supported", text),
              "use one of: image, registry, oci, docker, local, tar, cacheonly");
}

LayerCompression parse_compression(const std::string& text) {
  if (const auto known = compression_named(text)) return *known;
  throw_usage(fmt::format("--output compression={} is not supported", text),
              "use one of: gzip, zstd, uncompressed");
}

int parse_level(const std::string& text) {
  int level = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), level);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    throw_usage(fmt::format("--output compression-level={}: expected a number", text));
  }
  return level;
}

/// A string, as g++ 12 warns of assigning a literal of one character.
const std::string kStandardOutput = "-";

using Text = const std::string&;

template <auto Member>
void set_flag(Output& output, Text key, Text value) {
  output.*Member = parse_bool(key, value);
}
template <auto Member>
void set_image_flag(Output& output, Text key, Text value) {
  output.image.*Member = parse_bool(key, value);
}

/// An option and what it sets.
struct OutputOption {
  std::string_view name;
  void (*set)(Output& output, Text key, Text value);
};
constexpr OutputOption kOptions[] = {
    {"type",
     [](Output& output, Text, Text value) {
       output.type = parse_type(value);
       if (value == "registry") output.push = true;
     }},
    {"dest", [](Output& output, Text, Text value) { output.dest = value; }},
    {"name", [](Output& output, Text, Text value) { output.names = split(value, ','); }},
    {"tar", set_flag<&Output::as_tar>},
    {"compression", [](Output& output, Text,
                       Text value) { output.image.compression.type = parse_compression(value); }},
    {"compression-level",
     [](Output& output, Text, Text value) { output.image.compression.level = parse_level(value); }},
    {"force-compression",
     [](Output& output, Text key, Text value) {
       output.image.compression.force = parse_bool(key, value);
     }},
    {"oci-mediatypes", set_image_flag<&ImageOptions::oci_media_types>},
    {"rewrite-timestamp", set_image_flag<&ImageOptions::rewrite_timestamp>},
    {"push", set_flag<&Output::push>},
    {"push-by-digest", set_flag<&Output::push_by_digest>},
    {"registry.insecure", set_flag<&Output::insecure>},
    {"store", set_flag<&Output::store>},
    {"oci-artifact", set_flag<&Output::oci_artifact>},
    {"attestation-inline", set_flag<&Output::attestation_inline>},
    {"attestation-prefix",
     [](Output& output, Text, Text value) {
       if (value.find('/') != std::string::npos) {
         throw_usage("--output attestation-prefix: a slash cannot be in a file's name");
       }
       output.attestation_prefix = value;
     }},
    {"platform-split", set_flag<&Output::platform_split>},
};

void set_option(Output& output, const std::string& key, const std::string& value) {
  std::vector<std::string> known;
  for (const auto& option : kOptions) {
    if (option.name == key) return option.set(output, key, value);
    known.emplace_back(option.name);
  }
  if (key.starts_with("annotation-")) return output.annotations.add_attribute(key, value);
  if (key.starts_with("annotation.")) {
    output.image.annotations[key.substr(11)] = value;
    return;
  }
  const std::string meant = nearest(key, known);
  throw_usage(fmt::format("--output has no option {}", lade::quoted(key)),
              meant.empty() ? "" : "did you mean " + meant + "?");
}

/// A name to be pushed by its digest must not have a tag, which would say another thing.
void check_push(const Output& output) {
  if (output.type != OutputType::image &&
      (output.push || output.push_by_digest || output.insecure || output.store)) {
    throw_usage("--output: push and store are for type=image and type=registry");
  }
  if (!output.push_by_digest) return;
  if (!output.push) throw_usage("--output push-by-digest=true needs push=true");
  for (const auto& name : output.names) {
    if (has_tag(name)) {
      throw_usage(fmt::format("--output push-by-digest=true cannot push {}, which has a tag",
                              lade::quoted(name)));
    }
  }
}

void finish_output(Output& output, bool registry) {
  if (registry && !output.store) output.store = false;
  check_push(output);
}

/// Attributes that say nothing to lade: what they ask for is always so, or is the client's part.
constexpr std::string_view kIdleAttributes[] = {"buildinfo", "buildinfo-attrs", "dest", "mode"};

/// Attributes that are only supported as "false".
constexpr std::string_view kOffAttributes[] = {"unpack", "prefer-nondist-layers"};

}  // namespace

std::optional<LayerCompression> compression_named(const std::string& text) {
  if (text == "gzip") return LayerCompression::gzip;
  if (text == "zstd") return LayerCompression::zstd;
  if (text == "uncompressed") return LayerCompression::uncompressed;
  return std::nullopt;
}

bool has_tag(const std::string& name) {
  const size_t slash = name.rfind('/');
  return name.find(':', slash == std::string::npos ? 0 : slash) != std::string::npos;
}

Output parse_output(const std::string& text) {
  Output output;
  const auto fields = parse_csv(text);
  if (fields.size() == 1 && fields[0].find('=') == std::string::npos) {
    output.type = fields[0] == "-" ? OutputType::tar : OutputType::local;
    output.dest = fields[0];
    return output;
  }
  bool typed = false;
  bool registry = false;
  for (const auto& field : fields) {
    registry = registry || field == "type=registry";
    const auto equals = field.find('=');
    if (equals == std::string::npos) {
      throw_usage(fmt::format("--output: {} is not of the form key=value", lade::quoted(field)));
    }
    const std::string key = to_lower(trim(field.substr(0, equals)));
    set_option(output, key, field.substr(equals + 1));
    typed = typed || key == "type";
  }
  if (!typed) {
    throw_usage(
        fmt::format("--output: {} names no type", lade::quoted(text)),
        "say type=image, registry, oci, docker, local, tar or cacheonly, or a directory alone");
  }
  finish_output(output, registry);
  output.load = output.type == OutputType::docker && output.dest.empty();
  const bool is_file =
      output.type == OutputType::tar || (output.type == OutputType::oci && output.as_tar);
  if (is_file && output.dest.empty()) output.dest = kStandardOutput;
  if (output.type != OutputType::image && output.dest.empty() && !output.load) {
    throw_usage("--output needs dest=PATH for this type");
  }
  if (output.type == OutputType::local && output.dest == "-") {
    throw_usage("--output type=local cannot go to standard output", "use type=tar");
  }
  return output;
}

Output output_of(const std::string& type, const std::map<std::string, std::string>& attributes) {
  Output output;
  set_option(output, "type", type);
  for (const auto& [key, value] : attributes) {
    if (std::find(std::begin(kIdleAttributes), std::end(kIdleAttributes), key) !=
        std::end(kIdleAttributes)) {
      continue;
    }
    if (std::find(std::begin(kOffAttributes), std::end(kOffAttributes), key) !=
        std::end(kOffAttributes)) {
      if (parse_bool(key, value)) throw_usage(fmt::format("{}={} is not supported", key, value));
      continue;
    }
    if (key == "source-date-epoch") {
      if (value.empty()) continue;
      int64_t seconds = 0;
      const auto result = std::from_chars(value.data(), value.data() + value.size(), seconds);
      if (result.ec != std::errc() || result.ptr != value.data() + value.size()) {
        throw_usage(fmt::format("source-date-epoch={} is not a number", value));
      }
      output.image.source_date_epoch = Timestamp{seconds, 0};
    } else if (key != "name" || !value.empty()) {
      set_option(output, key, value);
    }
  }
  finish_output(output, type == "registry");
  // Whoever pushes through a daemon does not look for the image on the daemon's machine, where its
  // name would keep it from being pruned.
  if (output.push && !output.store) output.store = false;
  return output;
}

}  // namespace lade
