#include <ctime>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "snapshotter/content/image_config.hpp"

namespace lade {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Timestamp, ParsesRfc3339AndWritesItAsGo) {
  const std::pair<const char*, const char*> cases[] = {
      {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
      {"2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"},
      {"2026-01-02T03:04:05.120Z", "2026-01-02T03:04:05.12Z"},
      {"2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05Z"},
      {"2026-01-02T03:04:05.1234567899Z", "2026-01-02T03:04:05.123456789Z"},
      {"2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00Z"},
      {"2026-01-01T00:30:00-01:30", "2026-01-01T02:00:00Z"},
      {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
      {"1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"},
      {"9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"},
      {"2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"},
  };
  for (const auto& [text, expected] : cases) {
    const auto time = Timestamp::parse(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(time->str(), expected);
    EXPECT_EQ(Timestamp::parse(time->str()), time);
  }
}

TEST(Timestamp, RefusesWhatIsNoTime) {
  for (const char* text :
       {"", "2026", "2026-01-02", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05",
        "2026-13-02T03:04:05Z", "2026-02-30T03:04:05Z", "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:05Z", "2026-01-02T03:04:60Z", "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05Zx", "2026-01-02T03:04:05+1:00", "2026-01-02T03:04:05+24:00",
        "-026-01-02T03:04:05Z", "2026-1-02T03:04:05Z", "2026-01-00T03:04:05Z"}) {
    EXPECT_FALSE(Timestamp::parse(text)) << text;
  }
}

TEST(Timestamp, OrdersAndKnowsNow) {
  EXPECT_LT((Timestamp{1, 999'999'999}), (Timestamp{2, 0}));
  EXPECT_GT(Timestamp::now().seconds, 1'700'000'000);
}

// As `skopeo inspect --config --raw` gives a config that BuildKit wrote; the hash is of these
// bytes.
constexpr std::string_view kReal =
    R"({"architecture":"arm","author":"a \u003cb@c.d\u003e","config":{"User":"1000:1000","ExposedPorts":{"443/tcp":{},"80/tcp":{}},"Env":["PATH=/usr/local/sbin:/usr/bin","A=b\u0026c"],"Entrypoint":["/docker-entrypoint.sh"],"Cmd":["nginx","-g","daemon off;"],"Volumes":{"/data":{}},"WorkingDir":"/srv","Labels":{"a":"1","maintainer":"x"},"StopSignal":"SIGQUIT","ArgsEscaped":true,"Healthcheck":{"Test":["CMD-SHELL","curl -f http://localhost/ || exit 1"],"Interval":30000000000,"Timeout":5000000000,"StartPeriod":1000000000,"StartInterval":2000000000,"Retries":3},"OnBuild":["RUN true"],"Shell":["/bin/bash","-c"]},"created":"2026-01-02T03:04:05.123456789Z","history":[{"created":"2025-12-30T00:00:00Z","created_by":"/bin/sh -c #(nop) ADD file:1 in / "},{"created":"2026-01-02T03:04:05.123456789Z","created_by":"ENV A=b\u0026c","author":"me","comment":"buildkit.dockerfile.v0","empty_layer":true}],"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]},"variant":"v7"})";

TEST(ImageConfig, WritesARealConfigBackByteForByte) {
  EXPECT_EQ(ImageConfig::parse(kReal).serialize(), kReal);
}

TEST(ImageConfig, ReadsEveryField) {
  const ImageConfig image = ImageConfig::parse(kReal);
  EXPECT_EQ(image.platform.str(), "linux/arm/v7");
  EXPECT_EQ(image.author, "a <b@c.d>");
  EXPECT_EQ(image.created.value().str(), "2026-01-02T03:04:05.123456789Z");
  const ContainerConfig& config = image.config;
  EXPECT_EQ(config.user, "1000:1000");
  EXPECT_THAT(config.exposed_ports, ElementsAre("443/tcp", "80/tcp"));
  EXPECT_THAT(config.env, ElementsAre("PATH=/usr/local/sbin:/usr/bin", "A=b&c"));
  EXPECT_THAT(config.entrypoint.value(), ElementsAre("/docker-entrypoint.sh"));
  EXPECT_THAT(config.cmd.value(), ElementsAre("nginx", "-g", "daemon off;"));
  EXPECT_EQ(config.working_dir, "/srv");
  EXPECT_EQ(config.labels.at("maintainer"), "x");
  EXPECT_EQ(config.stop_signal, "SIGQUIT");
  EXPECT_TRUE(config.args_escaped);
  EXPECT_EQ(config.healthcheck.value().interval_ns, 30'000'000'000);
  EXPECT_EQ(config.healthcheck.value().retries, 3);
  EXPECT_THAT(config.on_build, ElementsAre("RUN true"));
  EXPECT_THAT(config.shell.value(), ElementsAre("/bin/bash", "-c"));
  EXPECT_EQ(image.diff_ids.size(), 1u);
  ASSERT_EQ(image.history.size(), 2u);
  EXPECT_FALSE(image.history[0].empty_layer);
  EXPECT_EQ(image.history[1].author, "me");
  EXPECT_TRUE(image.history[1].empty_layer);
}

std::string with_config(std::string_view config) {
  return R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":)" +
         std::string(config) + "}";
}

TEST(ImageConfig, WritesAnEmptyImageWithTheRequiredFieldsOnly) {
  EXPECT_EQ(ImageConfig::parse(with_config("null")).serialize(),
            R"({"architecture":"amd64","config":{},"os":"linux",)"
            R"("rootfs":{"type":"layers","diff_ids":[]}})");
}

TEST(ImageConfig, TakesNullForAbsentEverywhere) {
  const std::string nulls = with_config(
      R"({"User":null,"ExposedPorts":null,"Env":null,"Entrypoint":null,"Cmd":null,"Volumes":null,)"
      R"("WorkingDir":null,"Labels":null,"StopSignal":null,"StopTimeout":null,"Healthcheck":null,)"
      R"("OnBuild":null,"Shell":null,"ArgsEscaped":null,"Hostname":"dropped"})");
  EXPECT_EQ(ImageConfig::parse(nulls).serialize(),
            ImageConfig::parse(with_config("{}")).serialize());
}

TEST(ImageConfig, TellsAnEmptyEntrypointFromAnAbsentOne) {
  const auto parsed = [](std::string_view config) {
    return ImageConfig::parse(with_config(config)).config;
  };
  EXPECT_FALSE(parsed(R"({"Entrypoint":null})").entrypoint);
  EXPECT_FALSE(parsed("{}").cmd);
  EXPECT_TRUE(parsed(R"({"Entrypoint":[]})").entrypoint.value().empty());
  EXPECT_TRUE(parsed(R"({"Cmd":[]})").cmd.value().empty());
}

TEST(ImageConfig, LeavesOutEmptyArgumentsAsBuildKit) {
  ImageConfig image = ImageConfig::parse(with_config("{}"));
  image.config.entrypoint.emplace();
  image.config.cmd.emplace();
  EXPECT_THAT(image.serialize(), HasSubstr(R"("config":{},)"));
}

TEST(ImageConfig, KeepsStopTimeout) {
  const ImageConfig image = ImageConfig::parse(with_config(R"({"StopTimeout":0})"));
  EXPECT_THAT(image.serialize(), HasSubstr(R"("config":{"StopTimeout":0})"));
}

TEST(ImageConfig, NamesTheFieldAtFault) {
  const std::pair<std::string, std::string> cases[] = {
      {"{}", "field 'os' is missing"},
      {R"({"os":"linux"})", "field 'architecture' is missing"},
      {R"({"os":"","architecture":"x"})", "field 'os' is empty"},
      {R"({"os":"linux","architecture":"x"})", "field 'rootfs' is missing"},
      {R"({"os":"linux","architecture":"x","rootfs":{"type":"z"}})",
       "field 'rootfs.type' is not 'layers'"},
      {R"({"os":"linux","architecture":"x","rootfs":{"type":"layers","diff_ids":["a"]}})",
       "field 'rootfs.diff_ids[0]' is not a usable digest"},
      {R"({"os":"linux","architecture":"x","created":"today"})",
       "field 'created' is not a time as RFC 3339 writes it"},
      {R"({"os":7})", "field 'os' is not a string"},
      {with_config(R"({"Env":"A=b"})"), "field 'config.Env' is not an array"},
      {with_config(R"({"Env":[1]})"), "field 'config.Env[0]' is not a string"},
      {with_config(R"({"Healthcheck":{"Interval":"30s"}})"),
       "field 'config.Healthcheck.Interval' is not an integer"},
      {with_config(R"({"Labels":["a"]})"), "field 'config.Labels' is not an object"},
      {with_config(R"([])"), "field 'config' is not an object"},
      {with_config(R"({"ArgsEscaped":1})"), "field 'config.ArgsEscaped' is not a boolean"},
  };
  for (const auto& [json, expected] : cases) {
    try {
      ImageConfig::parse(json);
      ADD_FAILURE() << json << " was taken";
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr("image config: " + expected)) << json;
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    }
  }
}

TEST(ImageConfig, ParsesManyKeysInBearableTime) {
  std::string labels = R"({"Labels":{)";
  for (int i = 0; i < 200'000; ++i) labels += fmt::format("\"{}\":\"\",", i);
  labels.back() = '}';
  const std::clock_t start = std::clock();
  EXPECT_EQ(ImageConfig::parse(with_config(labels + "}")).config.labels.size(), 200'000u);
  // In processor time, so that a busy machine does not matter; quadratic behaviour would take
  // minutes.
  EXPECT_LT(std::clock() - start, 20 * CLOCKS_PER_SEC);
}

TEST(ContainerConfig, SetsAndReplacesEnvironmentInPlace) {
  ContainerConfig config;
  config.env = {"A=1", "AB=2", "BARE"};
  config.set_env("A", "x=y");
  config.set_env("C", "");
  EXPECT_THAT(config.env, ElementsAre("A=x=y", "AB=2", "BARE", "C="));
  EXPECT_EQ(config.get_env("A"), "x=y");
  EXPECT_EQ(config.get_env("BARE"), "");
  EXPECT_EQ(config.get_env("C"), "");
  EXPECT_EQ(config.get_env("B"), std::nullopt);
}

}  // namespace
}  // namespace lade
