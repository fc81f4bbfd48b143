#include "daemon/server/usage.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/temp_dir.hpp"
#include "daemon/proto/control.pb.h"
#include "snapshotter/state.hpp"
#include "solver/cache/cache_store.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

namespace api = moby::buildkit::v1;

/// A state directory with one step's layer, whose text is as long as a heredoc may be.
class UsageTest : public ::testing::Test {
 protected:
  UsageTest() {
    const auto state = StateDir::open(root_);
    Entry root;
    root.type = EntryType::directory;
    root.mode = 0755;
    const LayerId layer = state->layers().commit(state->layers().prepare(), LayerIndex({root}));
    CacheRecord record;
    record.key = Digest::of("key");
    record.op = Digest::of("op");
    record.layers = {layer};
    record.components = {{"source", "RUN " + std::string(200'000, 'a')}};
    CacheStore(state->database()).put(record);
  }

  int found(const std::string& filter) {
    api::DiskUsageRequest request;
    request.add_filter(filter);
    api::DiskUsageResponse response;
    disk_usage(root_, request, response);
    return response.record_size();
  }

  TempDir dir_ = TempDir::create(::testing::TempDir());
  std::string root_ = dir_.path() + "/state";
};

TEST_F(UsageTest, FiltersByExpressionHoweverLongTheTextIs) {
  EXPECT_EQ(found("description~=RUN a+$"), 1);
  // A recursion a character, and exponential time, where matching backtracks.
  EXPECT_EQ(found("description~=[^z]*nothere"), 0);
  EXPECT_EQ(found("description~=(a*)*Q"), 0);
  EXPECT_EQ(found("description~=(a|aa)+$Q"), 0);
  EXPECT_EQ(found("type==regular"), 1);
  EXPECT_EQ(found("id~=\"^layer:\""), 1);
}

TEST_F(UsageTest, RefusesExpressionsThatAreMalformedOrTooLarge) {
  EXPECT_THAT(error_of([&] { found("description~=("); }),
              ::testing::HasSubstr("cannot parse the expression '('"));
  EXPECT_THAT(error_of([&] { found("description~=((((a{1000}){1000}){1000}){1000})"); }),
              ::testing::HasSubstr("cannot parse the expression"));
  EXPECT_THAT(error_of([&] { found("=="); }), ::testing::HasSubstr("cannot parse the filter"));
}

}  // namespace
}  // namespace lade
