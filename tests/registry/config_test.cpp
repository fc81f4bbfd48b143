#include "registry/auth/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

RegistryConfig config_of(std::string_view toml) {
  RegistryConfig out;
  out.add(toml, "registries.conf");
  return out;
}

std::vector<std::string> pulls(const RegistryConfig& config, const std::string& name) {
  std::vector<std::string> out;
  for (const auto& endpoint : config.pull_endpoints(Reference::parse(name))) {
    out.push_back(endpoint.host + "/" + endpoint.repository +
                  (endpoint.insecure ? " insecure" : ""));
  }
  return out;
}

std::string prefix_for(const RegistryConfig& config, const std::string& name) {
  const RegistryRule* rule = config.find(Reference::parse(name));
  return rule ? rule->prefix : "none";
}

constexpr std::string_view kAtDigest =
    "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(RegistryConfig, LeavesAloneWhatNothingIsSaidOf) {
  EXPECT_THAT(pulls({}, "reg.example/a/b:1"), ElementsAre("reg.example/a/b"));
  EXPECT_THAT(pulls({}, "debian"), ElementsAre("registry-1.docker.io/library/debian"));
}

TEST(RegistryConfig, TriesMirrorsInOrderAndTheLocationLast) {
  const auto config = config_of(R"(
unqualified-search-registries = ["example.com"]
[[registry]]
prefix = "example.com/foo"
location = "internal.example/bar"
[[registry.mirror]]
location = "mirror-0.local/for-foo"
[[registry.mirror]]
location = "mirror-1.local:5000"
insecure = true
)");
  EXPECT_THAT(pulls(config, "example.com/foo/image:latest"),
              ElementsAre("mirror-0.local/for-foo/image", "mirror-1.local:5000/image insecure",
                          "internal.example/bar/image"));
  EXPECT_THAT(pulls(config, "example.com/food/image"), ElementsAre("example.com/food/image"));
}

TEST(RegistryConfig, MirrorsDockerHub) {
  const auto config = config_of(R"(
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "127.0.0.1:5000/hub"
)");
  EXPECT_THAT(pulls(config, "debian:12"), ElementsAre("127.0.0.1:5000/hub/library/debian",
                                                      "registry-1.docker.io/library/debian"));
}

TEST(RegistryConfig, ChoosesTheLongestPrefix) {
  const auto config = config_of(R"(
[[registry]]
prefix = "*.example.com"
[[registry]]
prefix = "a.example.com"
[[registry]]
prefix = "a.example.com/team"
[[registry]]
prefix = "a.example.com/team/app:1"
)");
  EXPECT_EQ(prefix_for(config, "a.example.com/team/app:1"), "a.example.com/team/app:1");
  EXPECT_EQ(prefix_for(config, "a.example.com/team/app:11"), "a.example.com/team");
  EXPECT_EQ(prefix_for(config, "a.example.com/team:1"), "a.example.com/team");
  EXPECT_EQ(prefix_for(config, "a.example.com/team" + std::string(kAtDigest)),
            "a.example.com/team");
  EXPECT_EQ(prefix_for(config, "a.example.com/teams"), "a.example.com");
  EXPECT_EQ(prefix_for(config, "b.example.com/x"), "*.example.com");
  EXPECT_EQ(prefix_for(config, "c.b.example.com/x"), "*.example.com");
  EXPECT_EQ(prefix_for(config, "example.com/x"), "none");
  EXPECT_EQ(prefix_for(config, "a.example.com:5000/x"), "none");
  EXPECT_EQ(prefix_for(config, "other.com/a.example.com/x"), "none");
}

TEST(RegistryConfig, WildcardsKeepTheHostUnlessALocationIsGiven) {
  const auto config = config_of(R"(
[[registry]]
prefix = "*.example.com"
insecure = true
[[registry]]
prefix = "*.other.com"
location = "one.place/others"
)");
  EXPECT_THAT(pulls(config, "a.example.com/x/y"), ElementsAre("a.example.com/x/y insecure"));
  EXPECT_THAT(pulls(config, "a.other.com/x/y"), ElementsAre("one.place/others/x/y"));
}

TEST(RegistryConfig, UsesMirrorsForWhatTheyAreFor) {
  const auto config = config_of(R"(
[[registry]]
location = "reg.example"
[[registry.mirror]]
location = "digests.local"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "tags.local"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "all.local"
pull-from-mirror = "all"
[[registry]]
location = "old.example"
mirror-by-digest-only = true
[[registry.mirror]]
location = "mirror.local"
)");
  EXPECT_THAT(pulls(config, "reg.example/a:1"),
              ElementsAre("tags.local/a", "all.local/a", "reg.example/a"));
  EXPECT_THAT(pulls(config, "reg.example/a" + std::string(kAtDigest)),
              ElementsAre("digests.local/a", "all.local/a", "reg.example/a"));
  EXPECT_THAT(pulls(config, "old.example/a:1"), ElementsAre("old.example/a"));
  EXPECT_THAT(pulls(config, "old.example/a" + std::string(kAtDigest)),
              ElementsAre("mirror.local/a", "old.example/a"));
}

TEST(RegistryConfig, PushesGoToTheRegistryItself) {
  const auto config = config_of(R"(
[[registry]]
prefix = "reg.example"
location = "elsewhere.example"
insecure = true
[[registry.mirror]]
location = "mirror.local"
)");
  const auto endpoint = config.push_endpoint(Reference::parse("reg.example/a"));
  EXPECT_EQ(endpoint, (RegistryEndpoint{"reg.example", "reg.example", "a", true}));
}

TEST(RegistryConfig, RefusesWhatIsBlocked) {
  const auto config = config_of("[[registry]]\nprefix = \"evil.example/bad\"\nblocked = true\n");
  const Reference bad = Reference::parse("evil.example/bad/image");
  EXPECT_EQ(error_of([&] { config.pull_endpoints(bad); }),
            "registries.conf blocks 'evil.example/bad'");
  EXPECT_EQ(error_of([&] { config.push_endpoint(bad); }),
            "registries.conf blocks 'evil.example/bad'");
  EXPECT_THAT(pulls(config, "evil.example/good"), ElementsAre("evil.example/good"));
}

TEST(RegistryConfig, ReadsTheListsOfVersion1) {
  const auto config = config_of(R"(
[registries.search]
registries = ["a.example"]
[registries.insecure]
registries = ["b.example"]
[registries.block]
registries = ["c.example"]
)");
  EXPECT_THAT(pulls(config, "a.example/x"), ElementsAre("a.example/x"));
  EXPECT_THAT(pulls(config, "b.example/x"), ElementsAre("b.example/x insecure"));
  EXPECT_THROW(pulls(config, "c.example/x"), Error);
}

TEST(RegistryConfig, NamesFileAndLineOfMistakes) {
  const std::pair<const char*, const char*> cases[] = {
      {"[[registry]\n", "'registries.conf', line 1: "},
      {"\n[[registry]]\ninsecure = true\n", "'registries.conf', line 2: [[registry]] needs"},
      {"[[registry]]\nprefix = 3\n", "line 2: prefix has a wrong type"},
      {"[[registry]]\nlocation = \"a\"\ninsecure = \"yes\"\n", "line 3: insecure has a wrong type"},
      {"[[registry]]\nlocation = \"https://a\"\n",
       "line 2: location 'https://a' must not have a scheme"},
      {"registry = 1\n", "line 1: registry is not an array of tables"},
      {"[[registry]]\nlocation = \"a\"\n[[registry.mirror]]\n",
       "line 3: [[registry.mirror]] needs"},
      {"[[registry]]\nlocation = \"a\"\n[[registry.mirror]]\nlocation = \"b\"\npull-from-mirror = "
       "\"x\"",
       "pull-from-mirror 'x' is none of"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_THAT(error_of([&] { config_of(text); }), HasSubstr(expected)) << text;
  }
}

class RegistryFilesTest : public ::testing::Test {
 protected:
  RegistryFilesTest() {
    for (const char* name : {"/etc", "/etc/d", "/user", "/user/d"})
      sys::make_dirs(dir_.path() + name);
    files_.user_registries_conf = dir_.path() + "/user/registries.conf";
    files_.registries_conf = {files_.user_registries_conf, dir_.path() + "/etc/registries.conf"};
    files_.system_drop_ins = {dir_.path() + "/etc/d"};
    files_.drop_ins = {dir_.path() + "/user/d"};
  }

  void write(const std::string& name, const std::string& location) {
    sys::write_file_atomically(
        dir_.path() + name,
        "[[registry]]\nprefix = \"p.example\"\nlocation = \"" + location + "\"\n");
  }
  std::string location() { return pulls(RegistryConfig::load(files_), "p.example/x").back(); }

  TempDir dir_ = TempDir::create(::testing::TempDir());
  RegistryFiles files_;
};

TEST_F(RegistryFilesTest, LaterFilesOverrideEarlierOnes) {
  EXPECT_EQ(location(), "p.example/x");
  write("/etc/registries.conf", "main");
  EXPECT_EQ(location(), "main/x");
  write("/etc/d/10-a.conf", "drop-in-a");
  write("/etc/d/20-b.conf", "drop-in-b");
  write("/etc/d/30-c.txt", "no-conf");
  EXPECT_EQ(location(), "drop-in-b/x");
  write("/user/d/00.conf", "user-drop-in");
  EXPECT_EQ(location(), "user-drop-in/x");
}

TEST_F(RegistryFilesTest, AUsersFileShutsOutTheSystems) {
  write("/etc/registries.conf", "main");
  write("/etc/d/10-a.conf", "drop-in-a");
  write("/user/registries.conf", "user");
  EXPECT_EQ(location(), "user/x");
  write("/user/d/00.conf", "user-drop-in");
  EXPECT_EQ(location(), "user-drop-in/x");
}

TEST_F(RegistryFilesTest, AreFoundByTheEnvironment) {
  for (const char* name : {"CONTAINERS_REGISTRIES_CONF", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE",
                           "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"}) {
    unsetenv(name);
  }
  setenv("HOME", "/home/u", 1);
  auto files = RegistryFiles::of_user();
  EXPECT_THAT(files.registries_conf, ElementsAre("/home/u/.config/containers/registries.conf",
                                                 "/etc/containers/registries.conf"));
  EXPECT_THAT(files.credentials,
              ElementsAre("/home/u/.docker/config.json", "/home/u/.config/containers/auth.json"));
  setenv("CONTAINERS_REGISTRIES_CONF", "/r.conf", 1);
  setenv("DOCKER_CONFIG", "/d", 1);
  setenv("REGISTRY_AUTH_FILE", "/a.json", 1);
  setenv("XDG_RUNTIME_DIR", "/run/u", 1);
  setenv("XDG_CONFIG_HOME", "/c", 1);
  files = RegistryFiles::of_user();
  EXPECT_THAT(files.registries_conf, ElementsAre("/r.conf"));
  EXPECT_THAT(files.credentials,
              ElementsAre("/a.json", "/d/config.json", "/run/u/containers/auth.json",
                          "/c/containers/auth.json"));
  EXPECT_THAT(files.certificates, ElementsAre("/c/containers/certs.d", "/etc/containers/certs.d",
                                              "/etc/docker/certs.d"));
  EXPECT_EQ(files.docker_config, "/d/config.json");
  for (const char* name : {"CONTAINERS_REGISTRIES_CONF", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE",
                           "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"}) {
    unsetenv(name);
  }
}

}  // namespace
}  // namespace lade
