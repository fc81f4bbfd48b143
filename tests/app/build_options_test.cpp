// The options of `lade build`, as understood.
#include "app/build/build_options.hpp"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

/// Sets a variable while it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

/// "MESSAGE"; every error here is one of usage.
std::string usage_error(const BuildFlags& flags) {
  try {
    check_build_flags(flags);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage) << error.message();
    return error.message();
  }
  return {};
}

BuildFlags with(std::vector<std::string> BuildFlags::* field, std::vector<std::string> values) {
  BuildFlags flags;
  flags.*field = std::move(values);
  return flags;
}

BuildFlags with(std::string BuildFlags::* field, std::string value) {
  BuildFlags flags;
  flags.*field = std::move(value);
  return flags;
}

TEST(BuildOptions, PushGoesToTheImagesOrIsOneMore) {
  BuildFlags flags;
  flags.push = true;
  flags.tags = {"reg.example/app"};
  BuildRequest request = check_build_flags(flags);
  ASSERT_EQ(request.outputs.size(), 1u);
  EXPECT_TRUE(request.outputs[0].push);
  EXPECT_TRUE(request.outputs[0].keeps_names());

  flags.outputs = {"type=local,dest=out"};
  request = check_build_flags(flags);
  ASSERT_EQ(request.outputs.size(), 2u);
  EXPECT_TRUE(request.outputs[1].push);

  flags.outputs = {"type=image"};
  request = check_build_flags(flags);
  ASSERT_EQ(request.outputs.size(), 1u);
  EXPECT_TRUE(request.outputs[0].push);
  EXPECT_TRUE(request.outputs[0].keeps_names());

  flags.tags.clear();
  EXPECT_THAT(usage_error(flags), HasSubstr("needs a name"));
  flags.outputs = {"type=image,push=true,push-by-digest=true"};
  flags.tags = {"reg.example/app:1"};
  EXPECT_THAT(usage_error(flags), HasSubstr("names without tags"));
}

TEST(BuildOptions, OfflineContradictsWhatNeedsTheNetwork) {
  BuildFlags flags;
  flags.offline = true;
  EXPECT_TRUE(check_build_flags(flags).offline);
  flags.pull = "always";
  EXPECT_THAT(usage_error(flags), HasSubstr("--pull=always asks registries"));
  flags.pull = "missing";
  flags.push = true;
  flags.tags = {"reg.example/app"};
  EXPECT_THAT(usage_error(flags), HasSubstr("pushing needs the network"));
}

TEST(BuildOptions, DefaultsAreABuildOfOneImageWithItsOwnNetwork) {
  const Variable epoch("SOURCE_DATE_EPOCH", nullptr);
  const BuildRequest request = check_build_flags({});
  EXPECT_THAT(request.lower.build_args, IsEmpty());
  EXPECT_EQ(request.lower.network, OpNetwork::sandbox);
  EXPECT_FALSE(request.lower.allow_host_network);
  EXPECT_FALSE(request.lower.no_cache);
  EXPECT_EQ(request.pull, PullPolicy::missing);
  EXPECT_FALSE(request.quiet());
}

TEST(BuildOptions, BuildArgsHaveAValueOrTakeTheEnvironments) {
  const Variable epoch("SOURCE_DATE_EPOCH", nullptr);
  const Variable set("LADE_TEST_SET", "from env");
  const Variable unset("LADE_TEST_UNSET", nullptr);
  const auto request = check_build_flags(with(
      &BuildFlags::build_args, {"a=1", "b=", "c=x=y", "LADE_TEST_SET", "LADE_TEST_UNSET", "a=2"}));
  EXPECT_THAT(request.lower.build_args,
              ElementsAre(Pair("LADE_TEST_SET", "from env"), Pair("a", "2"), Pair("b", ""),
                          Pair("c", "x=y")));
  EXPECT_THAT(usage_error(with(&BuildFlags::build_args, {"=x"})), HasSubstr("--build-arg"));
}

TEST(BuildOptions, SourceDateEpochComesFromTheEnvironmentUnlessGiven) {
  const Variable epoch("SOURCE_DATE_EPOCH", "7");
  EXPECT_THAT(check_build_flags({}).lower.build_args, ElementsAre(Pair("SOURCE_DATE_EPOCH", "7")));
  EXPECT_THAT(
      check_build_flags(with(&BuildFlags::build_args, {"SOURCE_DATE_EPOCH=8"})).lower.build_args,
      ElementsAre(Pair("SOURCE_DATE_EPOCH", "8")));
}

TEST(BuildOptions, TagsAreNormalised) {
  EXPECT_THAT(check_build_flags(with(&BuildFlags::tags, {"app", "localhost:5000/a/b:v1"})).names,
              ElementsAre("docker.io/library/app:latest", "localhost:5000/a/b:v1"));
  EXPECT_THAT(usage_error(with(&BuildFlags::tags, {"library/UPPER"})), HasSubstr("--tag "));
}

class SecretTest : public testing::Test {
 protected:
  static std::map<std::string, std::string> secrets(const std::string& text) {
    return check_build_flags(with(&BuildFlags::secrets, {text})).secrets;
  }
  static std::string error(const std::string& text) {
    return usage_error(with(&BuildFlags::secrets, {text}));
  }

  TempDir dir_ = TempDir::create("/tmp", "secret-test-");
  std::string file_ = dir_.path() + "/with,comma";
};

TEST_F(SecretTest, ComeFromAFileOrAVariable) {
  sys::write_file_atomically(file_, "from file\n");
  const Variable variable("LADE_TEST_SECRET", "from env");
  EXPECT_THAT(secrets("id=s,\"src=" + file_ + "\""), ElementsAre(Pair("s", "from file\n")));
  EXPECT_THAT(secrets("id=s,type=file,\"source=" + file_ + "\""),
              ElementsAre(Pair("s", "from file\n")));
  EXPECT_THAT(secrets("id=s,env=LADE_TEST_SECRET"), ElementsAre(Pair("s", "from env")));
  EXPECT_THAT(secrets("id=LADE_TEST_SECRET"), ElementsAre(Pair("LADE_TEST_SECRET", "from env")));
  EXPECT_THAT(secrets("type=env,id=s,src=LADE_TEST_SECRET"), ElementsAre(Pair("s", "from env")));
}

TEST_F(SecretTest, OfSeveralOfOneIdTheLastCounts) {
  const Variable one("LADE_TEST_ONE", "1");
  const Variable two("LADE_TEST_TWO", "2");
  const auto request = check_build_flags(
      with(&BuildFlags::secrets,
           {"id=s,env=LADE_TEST_ONE", "id=t,env=LADE_TEST_ONE", "id=s,env=LADE_TEST_TWO"}));
  EXPECT_THAT(request.secrets, ElementsAre(Pair("s", "2"), Pair("t", "1")));
}

TEST_F(SecretTest, MistakesAreNamed) {
  EXPECT_EQ(error("env=X"), "--secret needs id=NAME");
  EXPECT_EQ(error("id=x,foo=y"), "--secret has no option 'foo'");
  EXPECT_EQ(error("id=x,type=tape"), "--secret type=tape is not one of: file, env");
  EXPECT_EQ(error("id=x,src=/no/such"), "--secret id=x: no such file '/no/such'");
  EXPECT_EQ(error("id"), "--secret: 'id' is not of the form KEY=VALUE");
  EXPECT_THAT(error("id=x,\"src=y"), HasSubstr("a quote does not end"));
}

TEST_F(SecretTest, AnIdAloneIsAFileIfNoVariableIsCalledSo) {
  sys::write_file_atomically(dir_.path() + "/plain", "from file\n");
  const std::string id = dir_.path() + "/plain";
  EXPECT_THAT(secrets("id=" + id), ElementsAre(Pair(id, "from file\n")));
  EXPECT_EQ(error("id=/no/such"), "--secret id=/no/such: no such file '/no/such'");
}

TEST_F(SecretTest, AVariableThatIsNotSetIsAnEmptySecretWithAWarning) {
  const Variable unset("LADE_TEST_UNSET", nullptr);
  const auto request = check_build_flags(with(&BuildFlags::secrets, {"id=x,env=LADE_TEST_UNSET"}));
  EXPECT_THAT(request.secrets, ElementsAre(Pair("x", "")));
  EXPECT_THAT(request.warnings,
              ElementsAre("--secret id=x: LADE_TEST_UNSET is not set, the secret is empty"));
}

TEST_F(SecretTest, ATooLargeFileIsAnError) {
  sys::write_file_atomically(file_, std::string(500 * 1024 + 1, 'x'));
  EXPECT_THROW(secrets("id=s,\"src=" + file_ + "\""), Error);
}

TEST(BuildOptions, HostsAreANameAndAnAddress) {
  const auto request = check_build_flags(
      with(&BuildFlags::add_hosts, {"db:10.0.0.1", "db=10.0.0.2", "six:::1", "six=[fe80::1]"}));
  EXPECT_THAT(request.lower.extra_hosts, ElementsAre(Pair("db", "10.0.0.1"), Pair("db", "10.0.0.2"),
                                                     Pair("six", "::1"), Pair("six", "fe80::1")));
  EXPECT_THAT(
      check_build_flags(with(&BuildFlags::add_hosts, {"db:10.0.0.1,::2"})).lower.extra_hosts,
      ElementsAre(Pair("db", "10.0.0.1"), Pair("db", "::2")));
  EXPECT_THAT(
      check_build_flags(with(&BuildFlags::add_hosts, {"a:10.0.0.1,b=::2,[::3]"})).lower.extra_hosts,
      ElementsAre(Pair("a", "10.0.0.1"), Pair("b", "::2"), Pair("b", "::3")));
  for (const char* text :
       {"db", ":1.2.3.4", "db:", "", "db:name", "db:1.2.3", "db=[]", "db:10.0.0.1,"}) {
    EXPECT_THAT(usage_error(with(&BuildFlags::add_hosts, {text})), HasSubstr("--add-host: "))
        << text;
  }
}

TEST(BuildOptions, TheHostsGatewayIsAnAddressOfThisMachine) {
  const auto hosts =
      check_build_flags(with(&BuildFlags::add_hosts, {"host.docker.internal:host-gateway"}))
          .lower.extra_hosts;
  ASSERT_EQ(hosts.size(), 1u);
  EXPECT_EQ(hosts[0].first, "host.docker.internal");
  EXPECT_THAT(hosts[0].second, testing::MatchesRegex("[0-9.]+"));
  EXPECT_FALSE(hosts[0].second.starts_with("127."));
}

TEST(BuildOptions, OfUlimitsOfOneNameTheLastHolds) {
  const auto limits = check_build_flags(with(&BuildFlags::ulimits,
                                             {"nproc=7", "nofile=100", "core=0", "nofile=200:300"}))
                          .lower.ulimits;
  ASSERT_EQ(limits.size(), 3u);
  EXPECT_EQ(limits[0].name, "core");
  EXPECT_EQ(limits[1].name, "nofile");
  EXPECT_EQ(limits[1].soft, 200);
  EXPECT_EQ(limits[1].hard, 300);
  EXPECT_EQ(limits[2].name, "nproc");
}

TEST(BuildOptions, EmptyValuesOfListsArePassedOver) {
  BuildFlags flags;
  flags.cache_from = {"", "reg.example/a,reg.example/b", ""};
  flags.cache_to = {""};
  flags.build_contexts = {""};
  flags.secrets = {""};
  flags.ssh = {""};
  flags.allow = {""};
  flags.outputs = {""};
  flags.annotations = {""};
  flags.attest = {""};
  flags.no_cache_filters = {"", "one,,two"};
  const BuildRequest request = check_build_flags(flags);
  ASSERT_EQ(request.cache_from.size(), 2u);
  EXPECT_EQ(request.cache_from[1].where, "reg.example/b:latest");
  EXPECT_THAT(request.lower.contexts, IsEmpty());
  EXPECT_EQ(request.outputs.size(), 1u) << "an image without a name";
  EXPECT_THAT(request.lower.no_cache_filter, ElementsAre("one", "two"));
  EXPECT_THAT(usage_error(with(&BuildFlags::labels, {""})), HasSubstr("--label"));
  EXPECT_THAT(usage_error(with(&BuildFlags::labels, {"=x"})), HasSubstr("--label"));
  EXPECT_THAT(usage_error(with(&BuildFlags::tags, {""})), HasSubstr("--tag"));
}

TEST(BuildOptions, AnOutputOfAttributesSaysItsType) {
  EXPECT_THAT(usage_error(with(&BuildFlags::outputs, {"dest=x"})), HasSubstr("names no type"));
  EXPECT_THAT(usage_error(with(&BuildFlags::outputs, {"name=x,push=true"})),
              HasSubstr("names no type"));
}

/// What a build would warn of.
std::vector<std::string> warnings_of(const std::vector<std::string>& words) {
  BuildFlags flags;
  CommandLine line("", "lade build");
  add_build_flags(line, flags);
  line.parse(words);
  return check_build_flags(flags).warnings;
}

TEST(BuildOptions, WhatOnlyDockersBuildersHaveIsTakenWithAWarningOrRefused) {
  const Variable home("DOCKER_CONFIG", "/nowhere");
  EXPECT_THAT(warnings_of({".", "--rm", "--force-rm=true", "--disable-content-trust",
                           "--squash=false", "--compress=false",
                           "--builder=", "--security-opt=", "--policy", "", "--print", "outline"}),
              IsEmpty());
  EXPECT_THAT(
      warnings_of({".", "--builder", "mine", "--isolation=default", "--squash", "--compress",
                   "--rm=false", "--security-opt", "label=disable"}),
      ElementsAre("--builder mine has no effect: lade builds by itself",
                  HasSubstr("--isolation default has no effect"),
                  HasSubstr("--security-opt has no effect"), HasSubstr("--compress has no effect"),
                  HasSubstr("--rm=false has no effect"), HasSubstr("--squash has no effect")));
  for (const char* word : {"--policy=filename=x", "--disable-content-trust=false"}) {
    EXPECT_THROW(warnings_of({".", word}), Error) << word;
  }
}

TEST(BuildOptions, TheMachinesProxiesAreBuildArgumentsUnlessGiven) {
  const TempDir dir = TempDir::create("/tmp", "proxy-test-");
  const Variable config("DOCKER_CONFIG", dir.path().c_str());
  const Variable host("DOCKER_HOST", nullptr);
  const Variable epoch("SOURCE_DATE_EPOCH", nullptr);
  sys::write_file_atomically(dir.path() + "/config.json",
                             R"({"proxies": {"default": {"httpProxy": "http://p:1", "noProxy": "x",
                                 "ftpProxy": "", "allProxy": 7},
                                 "tcp://far:1": {"httpsProxy": "http://q:2"}}})");
  EXPECT_THAT(check_build_flags({}).lower.build_args,
              ElementsAre(Pair("HTTP_PROXY", "http://p:1"), Pair("NO_PROXY", "x")));
  EXPECT_THAT(check_build_flags({}).own_args, ElementsAre("HTTP_PROXY", "NO_PROXY"));
  EXPECT_THAT(check_build_flags(with(&BuildFlags::build_args, {"http_proxy=mine", "NO_PROXY="}))
                  .lower.build_args,
              ElementsAre(Pair("NO_PROXY", ""), Pair("http_proxy", "mine")));
  const Variable far_host("DOCKER_HOST", "tcp://far:1");
  EXPECT_THAT(check_build_flags({}).lower.build_args,
              ElementsAre(Pair("HTTPS_PROXY", "http://q:2")));
  sys::write_file_atomically(dir.path() + "/config.json", "[]");
  EXPECT_THAT(check_build_flags({}).warnings, ElementsAre(HasSubstr("is not a JSON object")));
}

TEST(BuildOptions, WordsOfAFixedSetAreChecked) {
  EXPECT_TRUE(
      check_build_flags(with(&BuildFlags::allow, {"network.host"})).lower.allow_host_network);
  EXPECT_TRUE(
      check_build_flags(with(&BuildFlags::allow, {"security.insecure"})).lower.allow_insecure);
  EXPECT_THAT(usage_error(with(&BuildFlags::allow, {"network"})),
              HasSubstr("--allow network is not one of"));
  EXPECT_EQ(check_build_flags(with(&BuildFlags::network, "none")).lower.network, OpNetwork::none);
  EXPECT_EQ(check_build_flags(with(&BuildFlags::network, "host")).lower.network, OpNetwork::host);
  EXPECT_THAT(usage_error(with(&BuildFlags::network, "bridge")),
              HasSubstr("--network bridge is not one of"));
  EXPECT_EQ(check_build_flags(with(&BuildFlags::pull, "always")).pull, PullPolicy::always);
  EXPECT_EQ(check_build_flags(with(&BuildFlags::pull, "true")).pull, PullPolicy::always);
  EXPECT_EQ(check_build_flags(with(&BuildFlags::pull, "never")).pull, PullPolicy::never);
  EXPECT_EQ(check_build_flags(with(&BuildFlags::pull, "newer")).pull, PullPolicy::newer);
  EXPECT_THAT(usage_error(with(&BuildFlags::pull, "x")), HasSubstr("--pull=x is not one of"));
  EXPECT_THAT(usage_error(with(&BuildFlags::progress, "x")),
              HasSubstr("--progress: 'x' is not one of"));
  EXPECT_TRUE(check_build_flags(with(&BuildFlags::progress, "quiet")).quiet());
  EXPECT_EQ(check_build_flags(with(&BuildFlags::progress, "rawjson")).progress,
            ProgressMode::rawjson);
  BuildFlags negative;
  negative.max_parallelism = -1;
  EXPECT_EQ(usage_error(negative), "--max-parallelism cannot be negative");
}

TEST(BuildOptions, DockersVariablesAreDefaults) {
  const Variable progress("BUILDKIT_PROGRESS", "none");
  const Variable platform("DOCKER_DEFAULT_PLATFORM", "linux/arm64");
  BuildFlags flags;
  EXPECT_EQ(check_build_flags(flags).progress, ProgressMode::none);
  EXPECT_THAT(check_build_flags(flags).platforms, ElementsAre(Platform::parse("linux/arm64")));
  flags.progress = "plain";
  flags.platforms = {"linux/amd64"};
  EXPECT_EQ(check_build_flags(flags).progress, ProgressMode::plain);
  EXPECT_THAT(check_build_flags(flags).platforms, ElementsAre(Platform::parse("linux/amd64")));
  flags.progress = "auto";
  flags.quiet = true;
  EXPECT_EQ(check_build_flags(flags).progress, ProgressMode::quiet);
}

TEST(BuildOptions, OneOutputAtMostGoesToStandardOutput) {
  EXPECT_EQ(usage_error(with(&BuildFlags::outputs, {"-", "type=oci"})),
            "--output: only one can go to standard output");
}

TEST(BuildOptions, ACacheOnlyBuildHasNoOutput) {
  BuildFlags flags = with(&BuildFlags::outputs, {"type=cacheonly"});
  flags.tags = {"app"};
  EXPECT_THAT(check_build_flags(flags).outputs, IsEmpty());
  EXPECT_TRUE(check_build_flags(flags).cache_only);
}

TEST(BuildOptions, LabelsAreKeysAndValues) {
  EXPECT_THAT(check_build_flags(with(&BuildFlags::labels, {"a=b=c", "d", "d=1"})).lower.labels,
              ElementsAre(Pair("a", "b=c"), Pair("d", "1")));
}

TEST(BuildOptions, ContextsHaveImagesNamesAndAreThere) {
  const auto contexts = [](std::vector<std::string> texts) {
    return check_build_flags(with(&BuildFlags::build_contexts, std::move(texts))).lower.contexts;
  };
  const auto error = [](const char* text) {
    return usage_error(with(&BuildFlags::build_contexts, {text}));
  };
  EXPECT_THAT(contexts({"x=/tmp", "docker.io/library/alpine:latest=docker-image://busybox",
                        "alpine=https://example.com/x.git", "x=/", "debian:12=/tmp"}),
              ElementsAre(Pair("alpine", "https://example.com/x.git"), Pair("debian:12", "/tmp"),
                          Pair("x", "/")));
  EXPECT_THAT(error("dir"), HasSubstr("--build-context: "));
  EXPECT_THAT(error("a b=/tmp"), HasSubstr("--build-context: "));
  EXPECT_THAT(error("Upper=/tmp"), HasSubstr("--build-context: "));
  EXPECT_THAT(error("x=/no/such"), HasSubstr("x: there is no directory '/no/such'"));
  EXPECT_THAT(error("x=/etc/passwd"), HasSubstr("x: not a directory: '/etc/passwd'"));
  EXPECT_THAT(error("x="), HasSubstr("there is no directory ''"));
}

TEST(BuildOptions, PlatformsAreListedOnce) {
  const auto request =
      check_build_flags(with(&BuildFlags::platforms, {"linux/arm64/v8,amd64", "arm64"}));
  ASSERT_EQ(request.platforms.size(), 2u);
  EXPECT_EQ(request.platforms[0].str(), "linux/arm64");
  EXPECT_EQ(request.platforms[1].str(), "linux/amd64");
  EXPECT_FALSE(request.force_index);
  EXPECT_NE(usage_error(with(&BuildFlags::platforms, {"a/b/c/d"})), "");
}

}  // namespace
}  // namespace lade
