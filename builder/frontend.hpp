// Which frontend a Dockerfile wants. BuildKit loads frontends as images, `# syntax=NAME`; lade has
// one, built in, which is what every docker/dockerfile image means.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/source_range.hpp"

namespace lade {

/// The name by which clients ask for it, and the version of it that lade is like.
inline constexpr std::string_view kDockerfileFrontend = "dockerfile.v0";
inline constexpr const char* kDockerfileVersion = "1.26.0";

/// Any version of the official frontend, stable or labs, however it is spelled and pinned, also by
/// a mirror's name, which is told by the path (registry.example/hub/docker/dockerfile:1); or
/// BuildKit's own name for what is built in.
bool is_builtin_frontend(const std::string& image);

/// Throws Error, at the line of the directive, if another frontend is asked for. The build argument
/// BUILDKIT_SYNTAX beats the file.
void check_frontend(const std::shared_ptr<const SourceFile>& dockerfile,
                    const std::map<std::string, std::string>& build_args);

}  // namespace lade
