// testdata/parser/<case>/{Dockerfile,expected} and testdata/parser/invalid/<case>/{Dockerfile,
// expected_error}. UPDATE_GOLDEN=1 rewrites what is expected, and skips.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "dump.hpp"
#include "support.hpp"

namespace lade::parser {
namespace {

namespace fs = std::filesystem;

const fs::path kCases = fs::path(LADE_SOURCE_DIR) / "testdata" / "parser";

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> cases_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (fs::exists(entry.path() / "Dockerfile")) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  auto name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

void expect_golden(const fs::path& path, const std::string& actual) {
  if (std::getenv("UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << actual;
    GTEST_SKIP() << "rewrote " << path;
  }
  EXPECT_EQ(actual, read_file(path)) << path;
}

class GoldenTest : public testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, DumpsAsExpected) {
  const auto folder = kCases / GetParam();
  Linter linter;
  const auto file = parse_text(read_file(folder / "Dockerfile"), &linter);
  expect_golden(folder / "expected", dump(file, linter.warnings()));
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenTest, testing::ValuesIn(cases_in(kCases)), test_name);

class InvalidTest : public testing::TestWithParam<std::string> {};

TEST_P(InvalidTest, FailsAsExpected) {
  const auto folder = kCases / "invalid" / GetParam();
  const auto error = error_of([&] { parse_text(read_file(folder / "Dockerfile")); });
  ASSERT_NE(error, "") << "was accepted";
  expect_golden(folder / "expected_error", error + "\n");
}

INSTANTIATE_TEST_SUITE_P(Cases, InvalidTest, testing::ValuesIn(cases_in(kCases / "invalid")),
                         test_name);

}  // namespace
}  // namespace lade::parser
