#include "exporter/attestation.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kStatementType = "application/vnd.in-toto+json";
constexpr std::string_view kArtifactType = "application/vnd.docker.attestation.manifest.v1+json";
constexpr std::string_view kEmptyType = "application/vnd.oci.empty.v1+json";
constexpr std::string_view kEmpty = "{}";
constexpr const char* kUnknown = "unknown";

/// Percent-encoding of a package URL's parts: letters, digits and ".-_~" stand for themselves
/// (purl-spec, "Rules for each component").
std::string encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

/// A config as an image would have that has the statements as its layers.
std::string statements_config(const std::vector<Descriptor>& statements) {
  Json diff_ids = Json::array();
  for (const auto& statement : statements) diff_ids.push_back(statement.digest.str());
  const Json out = {{"architecture", kUnknown},
                    {"os", kUnknown},
                    {"config", Json::object()},
                    {"rootfs", {{"type", "layers"}, {"diff_ids", std::move(diff_ids)}}}};
  return out.dump();
}

}  // namespace

std::string attestation_statement(const Attestation& attestation,
                                  const std::vector<AttestationSubject>& subjects, bool indented) {
  Json out;
  out["_type"] = "https://in-toto.io/Statement/v1";
  out["predicateType"] = attestation.predicate_type;
  Json about = Json::array();
  for (const auto& subject : subjects) {
    about.push_back({{"name", subject.name}, {"digest", {{"sha256", subject.digest.hex()}}}});
  }
  out["subject"] = attestation.subjects.empty() ? about : Json::parse(attestation.subjects);
  out["predicate"] = Json::parse(attestation.predicate);
  return out.dump(indented ? 2 : -1, ' ', false, Json::error_handler_t::replace);
}

std::string package_url(std::string_view type, const Reference& image, const Platform* platform) {
  const bool plain = image.registry.empty() || image.registry == "docker.io";
  std::string name = plain ? image.repository : image.name();
  constexpr std::string_view kOfficial = "library/";
  if (image.registry == "docker.io" && name.starts_with(kOfficial)) name.erase(0, kOfficial.size());
  std::string out = fmt::format("pkg:{}", type);
  for (const auto& part : split(name, '/')) out += "/" + encoded(part);
  if (!image.tag.empty()) out += "@" + encoded(image.tag);
  // Sorted by key.
  std::vector<std::string> qualifiers;
  if (image.digest && image.tag.empty()) qualifiers.push_back("digest=" + image.digest->str());
  if (platform) qualifiers.push_back("platform=" + encoded(platform->normalized().str()));
  if (!qualifiers.empty()) out += "?" + join(qualifiers, "&");
  return out;
}

WrittenAttestation write_attestation(StateDir& state, const WrittenImage& image,
                                     const std::vector<Attestation>& attestations,
                                     const std::vector<std::string>& names, bool artifact) {
  const Platform platform = image.parsed_config.platform;
  std::vector<AttestationSubject> subjects;
  for (const auto& name : names) {
    subjects.push_back(
        {package_url("docker", Reference::parse(name), &platform), image.manifest.digest});
  }
  Manifest manifest;
  manifest.media_type = media_type::kOciManifest;
  WrittenAttestation out;
  for (const auto& attestation : attestations) {
    Descriptor layer =
        state.content().put(attestation_statement(attestation, subjects, false), kStatementType);
    layer.annotations["in-toto.io/predicate-type"] = attestation.predicate_type;
    manifest.layers.push_back(std::move(layer));
  }
  out.blobs = manifest.layers;
  if (artifact) {
    manifest.artifact_type = kArtifactType;
    manifest.config = state.content().put(kEmpty, kEmptyType);
    Descriptor subject = image.manifest;
    subject.annotations.clear();
    subject.platform.reset();
    manifest.subject = std::move(subject);
  } else {
    manifest.config =
        state.content().put(statements_config(manifest.layers), media_type::kOciConfig);
  }
  out.blobs.push_back(manifest.config);
  out.manifest = state.content().put(manifest.serialize(), manifest.media_type);
  out.manifest.annotations = {{"vnd.docker.reference.digest", image.manifest.digest.str()},
                              {"vnd.docker.reference.type", "attestation-manifest"}};
  out.manifest.platform.emplace();
  out.manifest.platform->os = kUnknown;
  out.manifest.platform->architecture = kUnknown;
  return out;
}

}  // namespace lade
