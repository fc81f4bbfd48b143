// What lies below a stage that is FROM no other stage: an image, a named context, or nothing.
#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "snapshotter/content/reference.hpp"
#include "solver/lower/lint.hpp"
#include "solver/lower/local_name.hpp"
#include "solver/lower/remote.hpp"
#include "solver/lower/stage.hpp"

namespace lade::lowering {
namespace {

ImageConfig empty_image(const Platform& platform) {
  ImageConfig image;
  image.platform = platform;
  image.config.working_dir = "/";
  if (platform.os != "windows") image.config.env = {"PATH=" + std::string(kDefaultPath)};
  return image;
}

void resolve_image(LowerState& state, StageState& stage, const std::string& source) {
  const Platform platform = stage.platform.value_or(state.target_platform);
  const BaseImage base = state.resolver.resolve(source, platform);
  stage.image = base.config;
  stage.image.created.reset();
  stage.platform = platform;
  set_name_prefix(state, stage);
  if (stage.image.diff_ids.empty() && base.chain.empty()) {
    stage.root = state.scratch_edge();
    return;
  }
  Vertex vertex;
  vertex.op = source_of(base);
  vertex.platform = platform.str();
  vertex.range = stage.range;
  const std::string text = "FROM " + base.display;
  StageCommand from;
  vertex.name = stage.stage ? step_name(stage, from, text) : text;
  // An image that several stages use is one vertex.
  const std::pair key(base.identifier, vertex.platform);
  const auto known = state.images.find(key);
  stage.root = known != state.images.end() ? known->second
                                           : state.images[key] = state.add(std::move(vertex));
}

/// An image that cannot be found may be a stage or a context with a slip of the pen.
void suggest_source(const LowerState& state, const std::string& name, Error& error) {
  std::vector<std::string> names;
  for (const auto& [context, value] : state.options.contexts) names.push_back(context);
  const size_t contexts = names.size();
  for (const auto& stage : state.stages) {
    if (!stage->name.empty()) names.push_back(stage->name);
  }
  const auto meant = nearest(name, names);
  if (meant.empty()) return;
  const auto at = std::find(names.begin(), names.end(), meant) - names.begin();
  const bool is_context = static_cast<size_t>(at) < contexts;
  error.set_hint(fmt::format("did you mean the {} {}?", is_context ? "context" : "stage", meant));
}

}  // namespace

NamedContext named_context(const LowerState& state, const std::string& name) {
  if (name == kScratch) return {};  // has a meaning of its own
  const auto& contexts = state.options.contexts;
  if (const auto exact = contexts.find(name); exact != contexts.end())
    return {exact->first, exact->second};
  for (const auto& [key, value] : contexts) {
    try {
      if (Reference::parse(key).str() == Reference::parse(name).str()) return {key, value};
    } catch (const Error&) {
      // Not every stage's or context's name is an image's.
    }
  }
  return {};
}

void resolve_base(LowerState& state, StageState& stage) {
  if (stage.resolved || stage.base) return;
  stage.resolved = true;
  NamedContext named = stage.context;
  const bool replaces_stage = !named.value.empty() && stage.stage;
  if (named.value.empty() && stage.base_name != kScratch) {
    named = named_context(state, stage.base_name);
  }
  const std::string& context = named.value;
  if (!context.empty() && !is_image_context(context)) {
    stage.image = empty_image(state.target_platform);
    stage.platform = state.target_platform;
    if (auto remote = at_range(stage.range, [&] { return remote_context(context); })) {
      remote->name = fmt::format("[context {}] {}", named.name, redact_url(context));
      stage.root = add_context(state.definition, *remote);
      if (replaces_stage || !stage.stage) stage.dispatched = true;
      return;
    }
    stage.local = state.local_edge(local_name(named.name), {});
    // Whatever runs on it or mounts it sees a layer of its files.
    Vertex copy;
    copy.op = FileOp{{CopyAction{.source = "/", .destination = "/", .wildcard = false}}};
    copy.inputs = {state.scratch_edge(), *stage.local};
    copy.platform = platform_text(stage);
    copy.range = stage.range;
    copy.name = fmt::format("[context {}] copy as a layer", named.name);
    stage.root = state.add(std::move(copy));
  } else if ((context.empty() && stage.base_name == kScratch) || context == kScratchContext) {
    stage.image = empty_image(state.target_platform);
    stage.platform = state.target_platform;
    stage.root = state.scratch_edge();
  } else {
    const std::string source = context.empty() ? "docker-image://" + stage.base_name : context;
    at_range(stage.range, [&] {
      try {
        resolve_image(state, stage, source);
      } catch (Error& error) {
        if (context.empty()) suggest_source(state, stage.base_name, error);
        throw;
      }
    });
    if (context.empty()) lint_base_platform(state, stage, stage.image.platform);
  }
  // What replaces a stage as a whole, and what is only copied from, has no instructions to go
  // through.
  if (replaces_stage || !stage.stage) stage.dispatched = true;
}

}  // namespace lade::lowering

lade::SourceOp lade::source_of(const BaseImage& base) {
  if (!base.chain.empty()) return {base.identifier, {{"chain", base.chain}}};
  ChainId chain;
  for (const auto& diff_id : base.config.diff_ids) chain = chain_id(chain, diff_id);
  return {base.identifier, {{"chain", chain.digest.str()}}};
}
