#include "builder/frontend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

/// Place and message of the refusal; "" if the file is ours to read.
std::string refusal(std::string text, const std::map<std::string, std::string>& build_args = {}) {
  try {
    check_frontend(std::make_shared<const SourceFile>(SourceFile{"Dockerfile", std::move(text)}),
                   build_args);
  } catch (const Error& error) {
    return (error.range() ? to_string(*error.range()) : "") + " " + error.message();
  }
  return {};
}

TEST(Frontend, EveryOfficialOneIsBuiltIn) {
  for (const char* image :
       {"docker/dockerfile", "docker/dockerfile:1", "docker/dockerfile:1.7-labs",
        "docker.io/docker/dockerfile:latest", "docker/dockerfile-upstream:master", "dockerfile.v0",
        "docker/dockerfile:1@sha256:"
        "9ba7531bd80fb0a858632727cf7a112fbfd19b17e94c4e84ced81e24ef1a0dbc",
        "docker/dockerfile:1 some options",
        // of mirrors
        "registry.example/docker/dockerfile:1",
        "registry.example:5000/hub/docker/dockerfile:1-labs", "public.ecr.aws/docker/dockerfile",
        "ghcr.io/someone/mirror/docker/dockerfile-upstream:x"}) {
    EXPECT_EQ(refusal(std::string("# syntax=") + image + "\nFROM x"), "") << image;
  }
  EXPECT_EQ(refusal("FROM x\n# syntax=other/frontend\n"), "");
}

TEST(Frontend, AnotherIsRefusedAtItsLine) {
  const std::string why = " is not supported: lade reads Dockerfiles itself";
  EXPECT_EQ(refusal("# check=skip=all\n#Syntax = r2d4/mockerfile:1 x\nFROM x"),
            "Dockerfile:2 frontend image 'r2d4/mockerfile:1'" + why);
  EXPECT_EQ(refusal("#!/x\n# syntax=dockerfile\n"),
            "Dockerfile:2 frontend image 'dockerfile'" + why);
  EXPECT_EQ(refusal("// syntax=a/b\nx"), "Dockerfile:1 frontend image 'a/b'" + why);
  EXPECT_EQ(refusal("{\"syntax\": \"a/b\", \"x\": 1}"), "Dockerfile:1 frontend image 'a/b'" + why);
  EXPECT_EQ(refusal("{\"syntax\": \"a/b\""), "");
  EXPECT_EQ(refusal("# syntax=docker/dockerfiles:1\n"),
            "Dockerfile:1 frontend image 'docker/dockerfiles:1'" + why);
  for (const char* image : {"registry.example/dockerfile:1", "registry.example/mydocker/dockerfile",
                            "registry.example/docker/dockerfile/other"}) {
    EXPECT_EQ(refusal(std::string("# syntax=") + image + "\n"),
              "Dockerfile:1 frontend image '" + std::string(image) + "'" + why);
  }
}

TEST(Frontend, TheBuildArgumentBeatsTheFile) {
  EXPECT_EQ(refusal("# syntax=a/b\n", {{"BUILDKIT_SYNTAX", "docker/dockerfile:1"}}), "");
  EXPECT_EQ(
      refusal("# syntax=docker/dockerfile:1\n", {{"BUILDKIT_SYNTAX", "a/b c"}}),
      " BUILDKIT_SYNTAX: frontend image 'a/b' is not supported: lade reads Dockerfiles itself");
}

}  // namespace
}  // namespace lade
