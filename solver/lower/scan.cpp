#include "solver/lower/scan.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/grammar.hpp"
#include "solver/lower/stage.hpp"

namespace lade {
namespace {

constexpr const char* kCore = "/run/src/core/sbom";
constexpr const char* kExtras = "/run/src/extras";
constexpr const char* kExtraPrefix = "sbom-";
constexpr const char* kDestination = "/run/out";
constexpr uint32_t kStatements = 1;  // output 0 is the scanner's root

Edge add(Definition& graph, Vertex vertex) {
  graph.vertices.push_back(std::move(vertex));
  return {static_cast<uint32_t>(graph.vertices.size() - 1), 0};
}

std::vector<std::string> environment(const ImageConfig& image, const SbomScanner& scanner,
                                     bool has_extras) {
  lowering::EnvList env;
  for (const auto& variable : image.config.env) {
    const auto equals = variable.find('=');
    if (equals == 0) continue;  // no process's environment may have it
    env.set(variable.substr(0, equals),
            equals == std::string::npos ? "" : variable.substr(equals + 1));
  }
  env.set("BUILDKIT_SCAN_DESTINATION", std::string(kDestination) + "/");
  env.set("BUILDKIT_SCAN_SOURCE", kCore);
  if (has_extras) env.set("BUILDKIT_SCAN_SOURCE_EXTRAS", kExtras);
  for (const auto& [name, value] : scanner.parameters) env.set("BUILDKIT_SCAN_" + name, value);
  return env.assignments();
}

ExecMount bind(std::string target, uint32_t input) {
  ExecMount out;
  out.target = std::move(target);
  out.input = input;
  return out;
}

}  // namespace

Edge add_scan(Definition& graph, ImageResolver& resolver, const SbomScanner& scanner,
              const Platform& build_platform, const ScanTarget& target) {
  const BaseImage image = resolver.resolve("docker-image://" + scanner.image, build_platform);
  const ContainerConfig& config = image.config.config;
  ExecOp op;
  for (const auto* words : {&config.entrypoint, &config.cmd}) {
    if (*words) op.args.insert(op.args.end(), (*words)->begin(), (*words)->end());
  }
  if (op.args.empty()) throw Error(fmt::format("scanner {} does not have cmd", scanner.image));
  op.env = environment(image.config, scanner, !target.extras.empty());
  op.cwd = join_path("/", config.working_dir);

  Vertex source;
  source.op = source_of(image);
  source.platform = build_platform.str();
  source.name = "FROM " + image.display;
  Vertex scratch;
  scratch.op = SourceOp{"scratch", {}};

  Vertex vertex;
  vertex.inputs = {add(graph, std::move(source)), target.core};
  op.mounts.push_back(bind(kCore, 1));
  for (const auto& [name, edge] : target.extras) {
    const auto input = static_cast<uint32_t>(vertex.inputs.size());
    op.mounts.push_back(bind(fmt::format("{}/{}{}", kExtras, kExtraPrefix, name), input));
    vertex.inputs.push_back(edge);
  }
  ExecMount statements = bind(kDestination, static_cast<uint32_t>(vertex.inputs.size()));
  statements.read_only = false;
  statements.output = kStatements;
  op.mounts.push_back(std::move(statements));
  vertex.inputs.push_back(add(graph, std::move(scratch)));
  ExecMount temporary;
  temporary.type = ExecMountType::tmpfs;
  temporary.target = "/tmp";
  temporary.read_only = false;
  op.mounts.push_back(std::move(temporary));

  vertex.op = std::move(op);
  vertex.platform = build_platform.str();
  vertex.name = fmt::format("[{}] generating sbom using {}", target.platform, image.display);
  vertex.ignore_cache = target.ignore_cache;
  Edge out = add(graph, std::move(vertex));
  out.output = kStatements;
  return out;
}

namespace lowering {
namespace {

/// The last ARG of that name that the stage has, or the one before all stages.
bool is_asked_for(const LowerState& state, const StageState& stage, std::string_view name) {
  std::optional<std::string> value = state.global_args.get(name);
  for (const auto& arg : stage.build_args.all()) {
    if (arg.name == name && arg.value) value = arg.value;
  }
  if (!value) return false;
  if (const auto flag = parser::boolean(*value)) return *flag;
  const auto stages = split(*value, ',');
  return std::find(stages.begin(), stages.end(), stage.label) != stages.end();
}

}  // namespace

Edge scan_stages(LowerState& state, const StageState& target) {
  ScanTarget out;
  out.core = *target.root;
  out.platform = platform_text(target);
  out.ignore_cache = state.ignores_cache(target, {});
  if (is_asked_for(state, target, "BUILDKIT_SBOM_SCAN_CONTEXT")) {
    out.extras["context"] = context_copy(state, "/", out.platform, {});
  }
  for (const auto& stage : state.stages) {
    if (stage.get() == &target || !stage->stage || !stage->reachable || !stage->root) continue;
    if (!is_asked_for(state, *stage, "BUILDKIT_SBOM_SCAN_STAGE")) continue;
    out.extras[stage->label] = *stage->root;
    if (state.ignores_cache(*stage, {})) out.ignore_cache = true;
  }
  return add_scan(state.definition, state.resolver, *state.options.scanner,
                  state.options.build_platform, out);
}

}  // namespace lowering
}  // namespace lade
