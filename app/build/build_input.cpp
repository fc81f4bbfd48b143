#include "app/build/build_input.hpp"

#include <climits>
#include <cstdlib>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "parser/dockerignore.hpp"
#include "parser/parse.hpp"

namespace lade {
namespace {

constexpr const char* kIgnoreFile = ".dockerignore";

std::string absolute_directory(const std::string& path) {
  char resolved[PATH_MAX];
  if (!::realpath(path.c_str(), resolved)) throw_errno("context " + lade::quoted(path));
  if (::access((std::string(resolved) + "/.").c_str(), X_OK) != 0) {
    throw Error(fmt::format("context {} is not a directory", lade::quoted(path)));
  }
  return resolved;
}

std::shared_ptr<const SourceFile> read_dockerfile(const BuildRequest& request,
                                                  const std::string& context, std::string& path) {
  auto file = std::make_shared<SourceFile>();
  if (request.file == "-") {
    FdSource input(STDIN_FILENO);
    file->name = "-";
    file->text = read_all(input, parser::kMaxDockerfileSize, "the Dockerfile on standard input");
    return file;
  }
  path = request.file.empty() ? context + "/Dockerfile" : request.file;
  file->name = request.file.empty() ? "Dockerfile" : request.file;
  auto text = sys::read_file(path, parser::kMaxDockerfileSize);
  if (!text && base_name(path) == "Dockerfile") {
    // As docker: the lower-case name works, too.
    const std::string lower = dir_name(path) + "/dockerfile";
    text = sys::read_file(lower, parser::kMaxDockerfileSize);
    if (text) path = lower;
  }
  if (!text) {
    Error error(fmt::format("there is no Dockerfile at {}", lade::quoted(path)),
                ErrorKind::not_found);
    error.set_hint("name it with -f FILE");
    throw error;
  }
  file->text = std::move(*text);
  return file;
}

/// False if there is no such file.
bool read_ignore_file(const std::string& path, IgnoreRules& out) {
  if (sys::is_directory(path)) return false;  // to docker it is not a list then
  auto text = sys::read_file(path);
  if (!text) return false;
  out.file = base_name(path);
  const auto ignore = parser::Dockerignore::parse(std::move(*text), out.file);
  out.patterns = ignore.patterns();
  out.lines = ignore.lines();
  return true;
}

}  // namespace

std::shared_ptr<const SourceFile> read_local_dockerfile(const std::string& path) {
  auto text = sys::read_file(path, parser::kMaxDockerfileSize);
  if (!text) {
    throw Error(fmt::format("there is no Dockerfile at {}", lade::quoted(path)),
                ErrorKind::not_found);
  }
  auto file = std::make_shared<SourceFile>();
  file->name = path;
  file->text = std::move(*text);
  return file;
}

BuildInput read_build_input(const BuildRequest& request,
                            std::shared_ptr<const SourceFile> dockerfile) {
  BuildInput input;
  input.context = absolute_directory(request.context);
  std::string path;
  input.dockerfile =
      dockerfile ? std::move(dockerfile) : read_dockerfile(request, input.context, path);
  if (const std::string policy = path + kPolicySuffix;
      !path.empty() && ::access(policy.c_str(), F_OK) == 0) {
    input.policy = policy;
  }
  if (path.empty() || !read_ignore_file(path + kIgnoreFile, input.ignore)) {
    input.ignore = read_ignore_rules(input.context);
  }
  return input;
}

IgnoreRules read_ignore_rules(const std::string& directory) {
  IgnoreRules rules;
  read_ignore_file(directory + "/" + kIgnoreFile, rules);
  return rules;
}

parser::LintConfig read_lint_config(const BuildRequest& request, const BuildInput& input) {
  std::optional<std::string> given;
  const auto& args = request.lower.build_args;
  if (const auto arg = args.find("BUILDKIT_DOCKERFILE_CHECK"); arg != args.end()) {
    given = arg->second;
  }
  return parser::lint_config(input.dockerfile, given);
}

}  // namespace lade
