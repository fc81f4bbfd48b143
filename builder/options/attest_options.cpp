#include "builder/options/attest_options.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "builder/options/csv.hpp"
#include "parser/grammar.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

constexpr const char* kScanner = "docker/buildkit-syft-scanner:stable-1";

bool parse_flag(const std::string& name, const std::string& value) {
  const auto flag = parser::boolean(value);
  if (!flag) throw Error(fmt::format("failed to parse {} flag {}", name, lade::quoted(value)));
  return *flag;
}

void set_option(ProvenanceOptions& out, const std::string& key, const std::string& value) {
  if (key == "mode") {
    if (value != "min" && value != "max" && value != "full") {
      throw Error("invalid mode " + lade::quoted(value));
    }
    out.max = value != "min";
  } else if (key == "version") {
    if (value != "v1" && value != "v0.2") {
      throw Error("invalid provenance SLSA version: " + value);
    }
    out.slsa02 = value == "v0.2";
  } else if (key == "builder-id") {
    out.builder_id = value;
  } else if (key == "reproducible") {
    out.reproducible = parse_flag(key, value);
  } else if (key == "inline-only") {
    out.inline_only = parse_flag(key, value);
  } else if (key == "complete-materials") {
    out.complete_materials = parse_flag(key, value);
  } else if (key == "filename") {
    if (value.empty() || base_name(value) != value || value == "..") {
      throw Error("invalid file name of provenance: " + lade::quoted(value));
    }
    out.file_name = value;
  } else if (key == "capture-usage") {
    if (parse_flag(key, value)) throw Error("provenance with capture-usage is not supported");
  } else {
    throw Error("provenance has no option " + lade::quoted(key));
  }
}

}  // namespace

void set_attestation(AttestOptions& out, const std::string& kind, const std::string& attributes) {
  ProvenanceOptions options;
  SbomScanner scanner{Reference::parse(kScanner).str(), {}};
  bool enabled = true;
  const auto fields = attributes.empty() ? std::vector<std::string>() : parse_csv(attributes);
  for (const auto& field : fields) {
    const auto equals = field.find('=');
    const std::string key = field.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : field.substr(equals + 1);
    if (key == "disabled") {
      enabled = !parse_flag(key, value.empty() ? "true" : value);
    } else if (kind == "provenance") {
      set_option(options, key, value);
    } else if (key == "generator") {
      scanner.image = with_context("failed to parse sbom scanner " + value,
                                   [&] { return Reference::parse(value).str(); });
    } else {
      scanner.parameters[key] = value;
    }
  }
  if (kind == "provenance") {
    out.provenance.reset();
    if (enabled) out.provenance = std::move(options);
  } else if (kind == "sbom") {
    out.sbom.reset();
    if (enabled) out.sbom = std::move(scanner);
  } else {
    throw Error("unknown attestation type " + lade::quoted(kind));
  }
}

AttestOptions attest_options(const std::map<std::string, std::string>& frontend_options) {
  constexpr std::string_view kArgument = "build-arg:BUILDKIT_ATTEST_";
  constexpr std::string_view kOption = "attest:";
  std::map<std::string, std::string> wanted;
  for (const auto& [key, value] : frontend_options) {
    if (key.starts_with(kOption)) wanted[to_lower(key.substr(kOption.size()))] = value;
    if (key.starts_with(kArgument)) wanted[to_lower(key.substr(kArgument.size()))] = value;
  }
  AttestOptions out;
  for (const auto& [kind, attributes] : wanted) set_attestation(out, kind, attributes);
  return out;
}

}  // namespace lade
