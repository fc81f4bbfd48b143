// SBOMs: the step that scans a result.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "solver/lower/scan.hpp"
#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct Scan : Lowering {
  explicit Scan(const std::string& dockerfile) : Lowering(dockerfile) {
    ContainerConfig config;
    config.entrypoint = {{"/bin/scan"}};
    config.cmd = {{"--all"}};
    config.env = {"PATH=/bin", "MODE=image"};
    config.working_dir = "/work";
    images.add("docker-image://docker.io/my/scanner:1", config);
    options.scanner = SbomScanner{"docker.io/my/scanner:1", {{"MODE", "given"}}};
    options.build_platform = Platform::parse("linux/amd64");
  }
};

const ExecOp& step_of(const LoweredImage& image) {
  return std::get<ExecOp>(image.definition.vertices.at(image.scan.value().vertex).op);
}

std::vector<std::string> targets_of(const LoweredImage& image) {
  std::vector<std::string> out;
  for (const auto& mount : step_of(image).mounts) {
    out.push_back(mount.target + (mount.read_only ? " ro" : ""));
  }
  return out;
}

TEST(LowerScan, RunsTheScannersCommandOverTheResult) {
  const auto image = Scan("FROM debian AS base\nRUN make\n").run();
  const ExecOp& step = step_of(image);
  EXPECT_THAT(step.args, ElementsAre("/bin/scan", "--all"));
  EXPECT_THAT(step.env,
              ElementsAre("PATH=/bin", "MODE=image", "BUILDKIT_SCAN_DESTINATION=/run/out/",
                          "BUILDKIT_SCAN_SOURCE=/run/src/core/sbom", "BUILDKIT_SCAN_MODE=given"));
  EXPECT_EQ(step.cwd, "/work");
  EXPECT_EQ(step.user, "");
  EXPECT_THAT(targets_of(image), ElementsAre("/run/src/core/sbom ro", "/run/out", "/tmp"));
  const Vertex& vertex = image.definition.vertices.at(image.scan->vertex);
  EXPECT_EQ(vertex.inputs.at(step.mounts[0].input.value()), image.root);
  EXPECT_EQ(image.scan->output, step.mounts[1].output.value());
  EXPECT_THAT(vertex.name, HasSubstr("[linux/amd64] generating sbom using "));
}

TEST(LowerScan, NothingIsAddedUnlessAskedFor) {
  const auto image = lowered("FROM debian\nRUN make\n");
  EXPECT_FALSE(image.scan);
}

constexpr const char* kStages =
    "ARG BUILDKIT_SBOM_SCAN_CONTEXT=true\n"
    "FROM debian AS used\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nRUN one\n"
    "FROM debian AS silent\nRUN two\n"
    "FROM debian AS unused\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nRUN three\n"
    "FROM debian\nARG BUILDKIT_SBOM_SCAN_STAGE=true\n"
    "COPY --from=used /a /\nCOPY --from=silent /b /\n";

TEST(LowerScan, TheContextAndStagesThatAskForItComeToo) {
  const auto image = Scan(kStages).run();
  EXPECT_THAT(targets_of(image),
              ElementsAre("/run/src/core/sbom ro", "/run/src/extras/sbom-context ro",
                          "/run/src/extras/sbom-used ro", "/run/out", "/tmp"));
  EXPECT_THAT(step_of(image).env, Contains("BUILDKIT_SCAN_SOURCE_EXTRAS=/run/src/extras"));
  EXPECT_THAT(names(image), Not(Contains(HasSubstr("RUN three"))));
}

TEST(LowerScan, BuildArgumentsCountWhereAnArgDeclaresThem) {
  Scan off(kStages);
  off.options.build_args = {{"BUILDKIT_SBOM_SCAN_CONTEXT", "false"},
                            {"BUILDKIT_SBOM_SCAN_STAGE", "0"}};
  EXPECT_THAT(targets_of(off.run()), ElementsAre("/run/src/core/sbom ro", "/run/out", "/tmp"));
  Scan undeclared("FROM debian AS base\nRUN one\nFROM base\nRUN two\n");
  undeclared.options.build_args = {{"BUILDKIT_SBOM_SCAN_STAGE", "true"}};
  EXPECT_THAT(targets_of(undeclared.run()),
              ElementsAre("/run/src/core/sbom ro", "/run/out", "/tmp"));
}

TEST(LowerScan, StagesCanBeNamed) {
  Scan named(
      "ARG BUILDKIT_SBOM_SCAN_STAGE=x,two\nFROM debian AS one\nRUN 1\nFROM one AS two\n"
      "RUN 2\nFROM two\nRUN 3\n");
  EXPECT_THAT(
      targets_of(named.run()),
      ElementsAre("/run/src/core/sbom ro", "/run/src/extras/sbom-two ro", "/run/out", "/tmp"));
}

TEST(LowerScan, NoCacheScansAgain) {
  Scan again("FROM debian\nRUN make\n");
  again.options.no_cache = true;
  const auto image = again.run();
  EXPECT_TRUE(image.definition.vertices.at(image.scan->vertex).ignore_cache);
}

TEST(LowerScan, AScannerWithoutACommandIsAnError) {
  Scan none("FROM debian\n");
  none.images.add("docker-image://docker.io/my/scanner:1", {});
  EXPECT_THAT(none.error(), HasSubstr("scanner docker.io/my/scanner:1 does not have cmd"));
}

}  // namespace
}  // namespace lade
