// Where a Dockerfile and its context come from: the client's directories, what it uploads, a remote
// source, or another build's result.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/build/frontend_request.hpp"
#include "solver/lower/remote.hpp"

namespace lade {

struct FrontendInput {
  std::shared_ptr<const SourceFile> dockerfile;
  std::vector<std::string> ignore_patterns;
  std::vector<int> ignore_lines;
  std::string ignore_file;
  /// The main context, if it is none of the client's directories.
  std::optional<ContextSource> source;
  std::map<std::string, LocalSourceOptions> extra_locals;
  std::vector<std::shared_ptr<void>> keep;
};

FrontendInput load_frontend_input(Job& job, const FrontendRequest& request);

/// When the commit was made, or the file or the newest in the archive last changed; nullopt if that
/// is not known.
std::optional<int64_t> source_time(Job& job, const FrontendRequest& request,
                                   const SourceOp& source);

/// Which session has the client's directory of that name; empty: the build's.
std::string session_of(const FrontendRequest& request, const std::string& directory);

/// The patterns of the .dockerignore in a directory of the client's; none if there is no file.
std::vector<std::string> read_client_ignore(Job& job, const std::string& session,
                                            const std::string& directory);

}  // namespace lade
