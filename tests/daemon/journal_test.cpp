#include "daemon/job/journal.hpp"

#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "daemon/proto/control.pb.h"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using moby::buildkit::v1::StatusResponse;

class JournalTest : public testing::Test {
 protected:
  StatusResponse all() {
    uint64_t offset = 0;
    StatusResponse out;
    for (;;) {
      const std::string bytes = journal_.read(offset, [] { return true; });
      if (bytes.empty()) return out;
      StatusResponse part;
      EXPECT_TRUE(part.ParseFromString(bytes));
      out.MergeFrom(part);
    }
  }

  TempDir dir_ = TempDir::create(testing::TempDir());
  Journal journal_{dir_.path() + "/journal"};
};

TEST_F(JournalTest, AVertexIsToldFromItsBeginningToItsEnd) {
  journal_.declare("sha256:a", "one", {"sha256:b"});
  journal_.started("sha256:a");
  journal_.log("sha256:a", LogStream::err, "text\n");
  journal_.completed("sha256:a", false);
  const auto told = all();
  ASSERT_EQ(told.vertexes_size(), 3);
  EXPECT_EQ(told.vertexes(0).inputs(0), "sha256:b");
  EXPECT_FALSE(told.vertexes(1).has_completed());
  EXPECT_TRUE(told.vertexes(2).has_completed());
  EXPECT_EQ(told.vertexes(2).name(), "one");
  ASSERT_EQ(told.logs_size(), 1);
  EXPECT_EQ(told.logs(0).stream(), 2);
  EXPECT_EQ(told.logs(0).msg(), "text\n");
}

TEST_F(JournalTest, OfEndlessOutputTheBeginningAndTheEndAreKept) {
  journal_.declare("sha256:a", "one", {});
  journal_.started("sha256:a");
  const std::string block(64 << 10, 'x');
  for (int i = 0; i < 1600; ++i) journal_.log("sha256:a", LogStream::out, block);
  journal_.log("sha256:a", LogStream::out, "the last words\n");
  journal_.log("sha256:a", LogStream::err, "and an error\n");
  EXPECT_LT(std::filesystem::file_size(dir_.path() + "/journal"), 3u << 20);
  journal_.completed("sha256:a", false, "failed");
  std::string out[2];
  const StatusResponse told = all();
  for (const auto& log : told.logs()) out[log.stream() - 1] += log.msg();
  const std::string notice = "\n[output clipped, log limit 2MiB reached]\n";
  EXPECT_EQ(out[0].find(notice), 2u << 20);
  EXPECT_EQ(out[0].find(notice, (2u << 20) + 1), std::string::npos);
  EXPECT_TRUE(out[0].ends_with("xxxthe last words\n"));
  EXPECT_EQ(out[1], "and an error\n");
  EXPECT_LT(out[0].size(), 3u << 20);
}

TEST_F(JournalTest, OutputUpToTheLimitIsWhole) {
  const std::string block(1 << 20, 'x');
  for (int i = 0; i < 2; ++i) journal_.log("sha256:a", LogStream::out, block);
  journal_.completed("sha256:a", false);
  size_t size = 0;
  const StatusResponse told = all();
  for (const auto& log : told.logs()) size += log.msg().size();
  EXPECT_EQ(size, 2u << 20);
}

TEST_F(JournalTest, WhatTwoSolvesTellCountsOnce) {
  for (int i = 0; i < 2; ++i) {
    journal_.declare("sha256:a", "one");
    journal_.completed("sha256:a", true);
  }
  EXPECT_EQ(all().vertexes_size(), 2);
  EXPECT_EQ(journal_.counts().total, 1);
  EXPECT_EQ(journal_.counts().cached, 1);
}

TEST_F(JournalTest, AWarningBringsItsVertexAgain) {
  journal_.declare("sha256:a", "one");
  journal_.completed("sha256:a", false);
  const auto before = all().vertexes_size();
  journal_.warning("sha256:a", "mind the step");
  journal_.warning("sha256:unknown", "mind the other");
  const auto told = all();
  ASSERT_EQ(told.vertexes_size(), before + 1);
  EXPECT_TRUE(told.vertexes(before).has_completed());
  EXPECT_EQ(told.warnings_size(), 2);
  EXPECT_EQ(journal_.counts().warnings, 2);
}

TEST_F(JournalTest, AFailureMayBeFollowedByAnotherAttempt) {
  journal_.completed("sha256:a", false, "broken");
  journal_.completed("sha256:a", false);
  const auto told = all();
  ASSERT_EQ(told.vertexes_size(), 2);
  EXPECT_EQ(told.vertexes(0).error(), "broken");
  EXPECT_EQ(told.vertexes(1).error(), "");
}

TEST_F(JournalTest, WatchersSeeWhatComesLater) {
  std::string got;
  std::thread watcher([&] {
    uint64_t offset = 0;
    got = journal_.read(offset, [] { return false; });
  });
  journal_.log("sha256:a", LogStream::out, "late");
  watcher.join();
  StatusResponse message;
  ASSERT_TRUE(message.ParseFromString(got));
  EXPECT_EQ(message.logs(0).msg(), "late");
}

TEST_F(JournalTest, NamesThatAreNoUtf8ArriveReadable) {
  journal_.declare("sha256:a", "caf\xe9");
  EXPECT_EQ(all().vertexes(0).name(), "caf\xef\xbf\xbd");
}

TEST_F(JournalTest, AFinishedOneEnds) {
  journal_.finish();
  uint64_t offset = 0;
  EXPECT_EQ(journal_.read(offset, [] { return false; }), "");
}

TEST_F(JournalTest, ADamagedFileIsAnError) {
  const std::string path = dir_.path() + "/damaged";
  sys::write_file_atomically(path, std::string("\xff\xff\xff\xff rest", 9));
  uint64_t offset = 0;
  EXPECT_NE(error_of([&] { read_journal(path, offset); }), "");
}

}  // namespace
}  // namespace lade
