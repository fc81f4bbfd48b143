// Helpers of the solver's tests: Dockerfiles lowered with made-up base images, views of the result
// as text.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "solver/lower/lower.hpp"
#include "tests/support/error_of.hpp"

namespace lade::testing_solver {

/// Knows the images it was given, by the source that lowering asks for ("docker-image://debian"),
/// and remembers what was asked.
class FakeImages : public ImageResolver {
 public:
  BaseImage resolve(const std::string& source, const Platform& platform) override;

  /// An image with one layer; `config.platform` is what is asked for.
  void add(const std::string& source, ContainerConfig config = {});

  std::map<std::string, BaseImage> images;
  std::vector<std::string> asked;  ///< "docker-image://debian linux/amd64"
};

/// A Dockerfile, what the command line says and the images there are. `debian` exists from the
/// start, with one layer, PATH=/bin and nothing else.
struct Lowering {
  explicit Lowering(std::string dockerfile);

  LowerOptions options;
  FakeImages images;

  LoweredImage run();
  /// Runs; "PLACE: MESSAGE" of the Error, with "\nhint: HINT" if it has one. Fails the test if
  /// there is none.
  std::string error();

 private:
  std::string text_;
};

/// lower() with default options.
LoweredImage lowered(const std::string& dockerfile);

/// created_by of all entries, " (empty)" after those without a layer.
std::vector<std::string> history(const LoweredImage& image);
/// Names of all vertices, in order.
std::vector<std::string> names(const LoweredImage& image);
/// The only op of its type in the graph, or the last one.
const ExecOp& last_exec(const LoweredImage& image);
const FileOp& last_file(const LoweredImage& image);
const Vertex& root_vertex(const LoweredImage& image);
/// One line per vertex: "0 source docker-image://debian", "2 exec 0 1", "3 merge 0 2".
std::vector<std::string> graph(const LoweredImage& image);

}  // namespace lade::testing_solver
