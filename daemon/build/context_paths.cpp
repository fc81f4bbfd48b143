#include "daemon/build/context_paths.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace lade {
namespace {

bool add_paths_of(const LoweredImage& image, uint32_t user, size_t input,
                  std::vector<std::string>& paths);

/// What is read of vertex `read`. False if that is all of it, or more than is easily told.
bool add_paths(const LoweredImage& image, uint32_t read, std::vector<std::string>& paths) {
  if (image.root.vertex == read) return false;
  const auto& vertices = image.definition.vertices;
  for (uint32_t user = read + 1; user < vertices.size(); ++user) {
    const Vertex& vertex = vertices[user];
    for (size_t i = 0; i < vertex.inputs.size(); ++i) {
      if (vertex.inputs[i].vertex == read && !add_paths_of(image, user, i, paths)) return false;
    }
  }
  return true;
}

bool add_paths_of(const LoweredImage& image, uint32_t user, size_t input,
                  std::vector<std::string>& paths) {
  const Op& op = image.definition.vertices[user].op;
  if (const auto* exec = std::get_if<ExecOp>(&op)) {
    if (input == 0) return false;
    for (const auto& mount : exec->mounts) {
      if (mount.input != input) continue;
      const std::string path = clean_path("/" + mount.subpath).substr(1);
      if (path.empty() || mount.type != ExecMountType::bind) return false;
      paths.push_back(path);
    }
    return true;
  }
  const auto* file = std::get_if<FileOp>(&op);
  if (!file || input == 0) return false;
  for (const auto& action : file->actions) {
    const auto* copy = std::get_if<CopyAction>(&action);
    if (!copy || copy->input != input) continue;
    const std::string path = clean_path("/" + copy->source).substr(1);
    // A layer made of the whole directory has the same paths.
    const bool whole = path.empty() && copy->destination == "/" && file->actions.size() == 1;
    if (whole && add_paths(image, user, paths)) continue;
    if (path.empty() || copy->parents) return false;
    paths.push_back(path);
  }
  return true;
}

}  // namespace

std::vector<std::string> paths_read(const std::vector<LoweredImage>& images,
                                    const std::string& name) {
  std::vector<std::string> paths;
  for (const auto& image : images) {
    const auto& vertices = image.definition.vertices;
    for (uint32_t i = 0; i < vertices.size(); ++i) {
      const auto* source = std::get_if<SourceOp>(&vertices[i].op);
      if (!source || source->identifier != "local://" + name) continue;
      if (!add_paths(image, i, paths)) return {};
    }
  }
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

}  // namespace lade
