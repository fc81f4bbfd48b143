#include "support.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "parser/parse.hpp"
#include "solver/lower/lower.hpp"

namespace lade::testing_solver {
namespace {

struct DescribeOp {
  std::string operator()(const SourceOp& op) const { return "source " + op.identifier; }
  std::string operator()(const ExecOp&) const { return "exec"; }
  std::string operator()(const FileOp&) const { return "file"; }
  std::string operator()(const MergeOp&) const { return "merge"; }
  std::string operator()(const DiffOp&) const { return "diff"; }
};

template <class T>
const T& last_op(const LoweredImage& image) {
  const T* last = nullptr;
  for (const auto& vertex : image.definition.vertices) {
    if (const auto* op = std::get_if<T>(&vertex.op)) last = op;
  }
  if (!last) throw Error("the graph has no such op");
  return *last;
}

}  // namespace

BaseImage FakeImages::resolve(const std::string& source, const Platform& platform) {
  asked.push_back(source + " " + platform.str());
  const auto found = images.find(source);
  if (found == images.end()) throw Error(source + ": not found", ErrorKind::not_found);
  BaseImage image = found->second;
  image.config.platform = platform;
  return image;
}

void FakeImages::add(const std::string& source, ContainerConfig config) {
  BaseImage image;
  image.identifier = source + "@sha256:1";
  image.display = source.substr(source.find("://") + 3);
  image.config.config = std::move(config);
  image.config.diff_ids = {DiffId{Digest::of(source)}};
  images[source] = std::move(image);
}

Lowering::Lowering(std::string dockerfile) : text_(std::move(dockerfile)) {
  options.build_platform = Platform::parse("linux/amd64");
  ContainerConfig config;
  config.env = {"PATH=/bin"};
  images.add("docker-image://debian", config);
}

LoweredImage Lowering::run() {
  const auto file =
      parser::parse(std::make_shared<const SourceFile>(SourceFile{"Dockerfile", text_}));
  return lower(file, options, images);
}

std::string Lowering::error() {
  const std::string text = error_of([&] { run(); });
  EXPECT_NE(text, "") << "no error from:\n" << text_;
  return text;
}

LoweredImage lowered(const std::string& dockerfile) {
  return Lowering(dockerfile).run();
}

std::vector<std::string> history(const LoweredImage& image) {
  std::vector<std::string> out;
  for (const auto& entry : image.config.history) {
    out.push_back(entry.created_by + (entry.empty_layer ? " (empty)" : ""));
  }
  return out;
}

std::vector<std::string> names(const LoweredImage& image) {
  std::vector<std::string> out;
  for (const auto& vertex : image.definition.vertices) out.push_back(vertex.name);
  return out;
}

const ExecOp& last_exec(const LoweredImage& image) {
  return last_op<ExecOp>(image);
}
const FileOp& last_file(const LoweredImage& image) {
  return last_op<FileOp>(image);
}
const Vertex& root_vertex(const LoweredImage& image) {
  return image.definition.vertices.at(image.root.vertex);
}

std::vector<std::string> graph(const LoweredImage& image) {
  std::vector<std::string> out;
  for (size_t i = 0; i < image.definition.vertices.size(); ++i) {
    const Vertex& vertex = image.definition.vertices[i];
    std::string line = fmt::format("{} {}", i, std::visit(DescribeOp{}, vertex.op));
    for (const auto& input : vertex.inputs) line += fmt::format(" {}", input.vertex);
    out.push_back(line);
  }
  return out;
}

}  // namespace lade::testing_solver
