#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

using ::testing::HasSubstr;

const std::string kSha256Hex(64, 'a');
const std::string kDigest = "sha256:" + kSha256Hex;

TEST(Reference, NormalisesAsDocker) {
  struct Case {
    std::string text;
    std::string full;
    std::string familiar;
  };
  const Case cases[] = {
      {"debian", "docker.io/library/debian:latest", "debian:latest"},
      {"debian:12", "docker.io/library/debian:12", "debian:12"},
      {"user/app", "docker.io/user/app:latest", "user/app:latest"},
      {"library/debian", "docker.io/library/debian:latest", "debian:latest"},
      {"docker.io/debian", "docker.io/library/debian:latest", "debian:latest"},
      {"index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest"},
      {"index.docker.io/user/app", "docker.io/user/app:latest", "user/app:latest"},
      {"docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"},
      {"localhost/app", "localhost/app:latest", "localhost/app:latest"},
      {"localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"},
      {"localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"},
      {"localhosts/app", "docker.io/localhosts/app:latest", "localhosts/app:latest"},
      {"127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest", "127.0.0.1:5000/a/b/c:latest"},
      {"[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"},
      {"[2001:db8::1]/app", "[2001:db8::1]/app:latest", "[2001:db8::1]/app:latest"},
      {"ghcr.io/o/r", "ghcr.io/o/r:latest", "ghcr.io/o/r:latest"},
      {"HOST/app", "HOST/app:latest", "HOST/app:latest"},
      {"debian@" + kDigest, "docker.io/library/debian@" + kDigest, "debian@" + kDigest},
      {"debian:12@" + kDigest, "docker.io/library/debian:12@" + kDigest, "debian:12@" + kDigest},
      {"a__b/c---d/e.f_g", "docker.io/a__b/c---d/e.f_g:latest", "a__b/c---d/e.f_g:latest"},
      {"app:_a.B-9", "docker.io/library/app:_a.B-9", "app:_a.B-9"},
      {"app:" + std::string(128, 'x'), "docker.io/library/app:" + std::string(128, 'x'),
       "app:" + std::string(128, 'x')},
      {"x.io/" + std::string(255, 'x'), "x.io/" + std::string(255, 'x') + ":latest",
       "x.io/" + std::string(255, 'x') + ":latest"},
  };
  for (const auto& [text, full, familiar] : cases) {
    const Reference reference = Reference::parse(text);
    EXPECT_EQ(reference.str(), full) << text;
    EXPECT_EQ(reference.familiar(), familiar) << text;
    EXPECT_EQ(Reference::parse(reference.str()).str(), full) << text;
  }
}

TEST(Reference, SplitsIntoItsParts) {
  const Reference reference = Reference::parse("localhost:5000/a/b:1@" + kDigest);
  EXPECT_EQ(reference.registry, "localhost:5000");
  EXPECT_EQ(reference.repository, "a/b");
  EXPECT_EQ(reference.name(), "localhost:5000/a/b");
  EXPECT_EQ(reference.tag, "1");
  EXPECT_EQ(reference.digest.value().str(), kDigest);
  EXPECT_EQ(Reference::parse("a@" + kDigest).tag, "");
}

TEST(Reference, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "repository name must have at least one component"},
      {"Debian", "repository name (library/Debian) must be lowercase"},
      {"a/Debian:12", "repository name (a/Debian) must be lowercase"},
      {kSha256Hex, "cannot specify 64-byte hexadecimal strings"},
      {"x.io/" + std::string(256, 'x'), "must not be more than 255 characters"},
      {"a//b", "has an empty component"},
      {"a/", "has an empty component"},
      {"/a", "has an empty component"},
      {":1", "has an empty component"},
      {"a b", "'a b' is not a valid part of a repository name"},
      {"a..b", "'a..b' is not a valid part"},
      {"a___b", "'a___b' is not a valid part"},
      {"a-_b", "'a-_b' is not a valid part"},
      {"-a", "'-a' is not a valid part"},
      {"a-", "'a-' is not a valid part"},
      {"a\nb", "'a\\nb' is not a valid part"},
      {"https://x.io/a", "'https:' is not a valid registry"},
      {"x_y.io/a", "'x_y.io' is not a valid registry"},
      {"-x.io/a", "'-x.io' is not a valid registry"},
      {"x.io:/a", "'x.io:' is not a valid registry"},
      {"x.io:80a/a", "'x.io:80a' is not a valid registry"},
      {"[::1/a", "not a valid registry"},
      {"[]:1/a", "not a valid registry"},
      {"[::1]x/a", "not a valid"},
      {"a:", "'' is not a valid tag"},
      {"a:.b", "'.b' is not a valid tag"},
      {"a:b:c", "'b:c' is not a valid tag"},
      {"a:" + std::string(129, 'x'), "is not a valid tag"},
      {"a@", "invalid digest ''"},
      {"a@sha256:12", "invalid digest 'sha256:12'"},
      {"a@" + kDigest + "@" + kDigest, "invalid digest"},
      {"a@sha512:" + kSha256Hex + kSha256Hex, "only sha256"},
  };
  for (const auto& [text, expected] : cases) {
    try {
      Reference::parse(text);
      ADD_FAILURE() << text << " was taken";
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr(expected)) << text;
      EXPECT_THAT(error.message(), HasSubstr("invalid re")) << text;
    }
  }
}

}  // namespace
}  // namespace lade
