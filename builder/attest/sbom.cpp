#include "builder/attest/sbom.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/stream.hpp"
#include "base/text.hpp"
#include "exporter/flat_tree.hpp"

namespace lade {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSpdx = "https://spdx.dev/Document";
constexpr std::string_view kCore = "sbom";
constexpr uint64_t kMaxStatement = 40u << 20;

/// A statement about something else than what it goes with says so itself.
std::string subjects_of(const Json& statement) {
  const auto subjects = statement.find("subject");
  if (subjects == statement.end() || !subjects->is_array() || subjects->empty()) return "";
  return subjects->dump();
}

Attestation parse_statement(const std::string& text, const std::string& name) {
  const Json statement = parse_foreign_json(text);
  if (!statement.is_object() || !statement.contains("predicate")) {
    throw Error(fmt::format("the scanner's {} is not an in-toto statement", lade::quoted(name)));
  }
  const auto type = statement.find("predicateType");
  const std::string is =
      type != statement.end() && type->is_string() ? type->get<std::string>() : "";
  if (is != kSpdx) {
    throw Error(
        fmt::format("bundle entry {} does not match required predicate type {}", is, kSpdx));
  }
  return {kSpdx, statement["predicate"].dump(-1, ' ', false, Json::error_handler_t::replace),
          subjects_of(statement)};
}

/// Where in the image files are that an SBOM names.
class FileLayers {
 public:
  FileLayers(StateDir& state, const LayerStack& stack, const WrittenImage& image)
      : merged_(state.layers().merged(stack)), image_(image) {}

  /// Leaves what has a comment already.
  void add_comments(Json& files) const {
    if (!files.is_array()) return;
    for (auto& file : files) {
      const auto name = file.is_object() ? file.find("fileName") : file.end();
      if (!file.is_object() || name == file.end() || !name->is_string()) continue;
      const Json comment = file.value("comment", Json());
      if (comment.is_string() && !comment.get<std::string>().empty()) continue;
      const std::string path = clean_path("/" + name->get<std::string>()).substr(1);
      const auto found = merged_.resolve(path, true);
      if (!found || found->layer >= image_.layers.size()) continue;
      file["comment"] = "layerID: " + image_.layers[found->layer].digest.str();
    }
  }

 private:
  MergedIndex merged_;
  const WrittenImage& image_;
};

/// As BuildKit completes the SBOM of an image itself.
std::string with_layers(StateDir& state, const LayerStack& stack, const LayerProvider& provider,
                        const std::string& predicate, const WrittenImage& image) {
  Json document = parse_foreign_json(predicate);
  const auto version = document.is_object() ? document.find("spdxVersion") : document.end();
  if (!document.is_object() || version == document.end() || !version->is_string() ||
      !version->get<std::string>().starts_with("SPDX-2.")) {
    return predicate;
  }
  if (const auto files = document.find("files"); files != document.end()) {
    ensure_directories(state, stack, provider);
    FileLayers(state, stack, image).add_comments(*files);
  }
  Json& creation = document["creationInfo"];
  if (!creation.is_object()) creation = Json::object();
  Json& creators = creation["creators"];
  if (!creators.is_array()) creators = Json::array();
  creators.push_back(fmt::format("Tool: lade-{}", LADE_VERSION));
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::vector<AttestationRequest> sbom_attestations(StateDir& state, const LayerStack& scan,
                                                  const LayerStack& result,
                                                  const LayerProvider& provider) {
  ImageSource source;
  source.layers = scan;
  source.provider = provider;
  const FlatTree tree(state, source, std::nullopt);
  std::vector<AttestationRequest> out;
  for (const Entry& entry : tree.entries()) {
    if (entry.path.find('/') != std::string::npos) continue;
    if (entry.type != EntryType::regular) {
      throw Error(fmt::format("the scanner's {} is not a regular file", lade::quoted(entry.path)));
    }
    FdSource file(tree.open(entry));
    Attestation statement = parse_statement(
        read_all(file, kMaxStatement, "the scanner's " + lade::quoted(entry.path)), entry.path);
    const bool core = entry.path.substr(0, entry.path.find('.')) == kCore;
    auto make = [&state, result, provider, core, statement](const WrittenImage* image) {
      Attestation made = statement;
      if (core && image) {
        made.predicate = with_layers(state, result, provider, statement.predicate, *image);
      }
      return made;
    };
    out.insert(core ? out.begin() : out.end(), {std::move(make), entry.path, false});
  }
  return out;
}

}  // namespace lade
