#include "app/build_input.hpp"

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
    text = sys::read_file(dir_name(path) + "/dockerfile", parser::kMaxDockerfileSize);
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

}  // namespace

bool is_directory(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

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
  for (const auto& name : {path + ".dockerignore", input.context + "/.dockerignore"}) {
    if (path.empty() && name == ".dockerignore") continue;
    if (is_directory(name)) continue;  // to docker it is no list then
    auto text = sys::read_file(name);
    if (!text) continue;
    input.ignore_file = base_name(name);
    const auto ignore = parser::Dockerignore::parse(std::move(*text), input.ignore_file);
    input.ignore_patterns = ignore.patterns();
    input.ignore_lines = ignore.lines();
    break;
  }
  return input;
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
