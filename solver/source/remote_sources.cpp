#include "solver/source/remote_sources.hpp"

#include <utility>

#include "base/error.hpp"
#include "solver/lower/remote.hpp"
#include "solver/source/git.hpp"
#include "solver/source/http.hpp"

namespace lade {
namespace {

constexpr std::string_view kGitScheme = "git://";

bool is_git(const SourceOp& op) {
  return op.identifier.starts_with(kGitScheme);
}

}  // namespace

RemoteSources::RemoteSources(StateDir& state, RemoteSourceOptions options)
    : state_(state), options_(std::move(options)) {}
RemoteSources::~RemoteSources() = default;

bool RemoteSources::handles(const SourceOp& op) {
  return is_git(op) || op.identifier.starts_with("http://") ||
         op.identifier.starts_with("https://");
}

RemoteSource& RemoteSources::source_for(const SourceOp& op) {
  const std::lock_guard lock(mutex_);
  auto& source = is_git(op) ? git_ : http_;
  if (!source) {
    source = is_git(op) ? make_git_source(state_, options_, cancellation_)
                        : make_http_source(state_, options_, cancellation_);
  }
  return *source;
}

Digest RemoteSources::resolve(const SourceOp& op, const TransferProgress& progress) {
  std::shared_ptr<Resolution> resolution;
  {
    const std::lock_guard lock(mutex_);
    auto& known = resolutions_[op];
    if (!known) known = std::make_shared<Resolution>();
    resolution = known;
  }
  const std::lock_guard lock(resolution->mutex);
  if (!resolution->key) {
    resolution->key = with_context([&] { return source_text(op); },
                                   [&] { return source_for(op).resolve(op, progress); });
  }
  return *resolution->key;
}

std::optional<std::string> RemoteSources::pin(const SourceOp& op) {
  return source_for(op).pin(op);
}

std::map<SourceOp, std::string> RemoteSources::pins(const Definition& graph) {
  std::map<SourceOp, std::string> out;
  for (const auto& vertex : graph.vertices) {
    const auto* source = std::get_if<SourceOp>(&vertex.op);
    if (!source || !handles(*source)) continue;
    if (auto found = pin(*source)) out[*source] = std::move(*found);
  }
  return out;
}

LayerId RemoteSources::fetch(const SourceOp& op, const TransferProgress& progress) {
  return with_context([&] { return source_text(op); },
                      [&] { return source_for(op).fetch(op, progress); });
}

}  // namespace lade
