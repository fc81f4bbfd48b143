#include "base/database.hpp"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "tests/support/in_processes.hpp"

namespace lade {
namespace {

constexpr std::string_view kSchema = "CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY, v)";

class DatabaseTest : public testing::Test {
 protected:
  std::unique_ptr<Database> open(int version = 1, std::string_view schema = kSchema) {
    return Database::open(path_, version, schema);
  }
  static int64_t count(Database& database) {
    auto row = database.prepare("SELECT count(*) FROM t");
    row.step();
    return row.integer(0);
  }
  off_t wal_size() const {
    struct stat info{};
    return ::stat((path_ + "-wal").c_str(), &info) == 0 ? info.st_size : -1;
  }

  TempDir dir_ = TempDir::create("/tmp", "lade-test-");
  std::string path_ = dir_.path() + "/test.db";
};

TEST_F(DatabaseTest, GivesBackWhatWasBound) {
  auto database = open();
  const Digest digest = Digest::of("x");
  const std::string bytes("a\0b", 3);
  auto insert = [&](int64_t key) {
    auto statement = database->prepare("INSERT INTO t VALUES(?, ?)");
    statement.bind(key);
    return statement;
  };
  insert(1).bind(int64_t{-5}).run();
  insert(2).bind(std::string_view("text")).run();
  insert(3).bind(digest).run();
  insert(4).bind_blob(bytes).run();
  insert(5).bind_null().run();
  insert(6).bind(std::string_view()).run();

  auto row = database->prepare("SELECT v FROM t ORDER BY k");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.integer(0), -5);
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.text(0), "text");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.digest(0), digest);
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.blob(0), bytes);
  EXPECT_THROW(row.digest(0), Error);
  ASSERT_TRUE(row.step());
  EXPECT_TRUE(row.is_null(0));
  ASSERT_TRUE(row.step());
  EXPECT_FALSE(row.is_null(0));
  EXPECT_EQ(row.text(0), "");
  EXPECT_FALSE(row.step());
}

TEST_F(DatabaseTest, StatementsOfOneTextMayBeInUseTogether) {
  auto database = open();
  database->execute("INSERT INTO t VALUES(1, 'a'), (2, 'b')");
  auto outer = database->prepare("SELECT v FROM t ORDER BY k");
  ASSERT_TRUE(outer.step());
  auto inner = database->prepare("SELECT v FROM t ORDER BY k");
  ASSERT_TRUE(inner.step());
  ASSERT_TRUE(inner.step());
  EXPECT_EQ(inner.text(0), "b");
  EXPECT_EQ(outer.text(0), "a");
}

TEST_F(DatabaseTest, AReusedStatementHasLostItsBindsAndRows) {
  auto database = open();
  {
    database->prepare("INSERT INTO t VALUES(?, ?)").bind(int64_t{1}).bind(int64_t{7}).run();
  }
  {
    database->prepare("INSERT INTO t VALUES(?, ?)").bind(int64_t{2}).run();
  }
  auto row = database->prepare("SELECT v FROM t WHERE k = ?");
  ASSERT_TRUE(row.bind(int64_t{2}).step());
  EXPECT_TRUE(row.is_null(0));
}

TEST_F(DatabaseTest, ErrorsNameTheStatement) {
  auto database = open();
  database->execute("INSERT INTO t VALUES(1, 1)");
  try {
    database->prepare("INSERT INTO t VALUES(1, 2)").run();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), testing::HasSubstr("INSERT INTO t VALUES(1, 2)"));
    EXPECT_THAT(error.message(), testing::HasSubstr("UNIQUE"));
  }
  EXPECT_THROW(database->prepare("SELECT nothing"), Error);
  EXPECT_THROW(database->execute("SELECT nothing"), Error);
}

TEST_F(DatabaseTest, AThrowingTransactionLeavesNothing) {
  auto database = open();
  EXPECT_THROW(database->transaction([&] {
    database->execute("INSERT INTO t VALUES(1, 1)");
    throw Error("stop");
  }),
               Error);
  EXPECT_EQ(count(*database), 0);
  database->transaction([&] { database->execute("INSERT INTO t VALUES(2, 2)"); });
  EXPECT_EQ(count(*database), 1);
}

TEST_F(DatabaseTest, AnInnerTransactionFailsAlone) {
  auto database = open();
  database->transaction([&] {
    database->execute("INSERT INTO t VALUES(1, 1)");
    EXPECT_THROW(database->transaction([&] {
      database->execute("INSERT INTO t VALUES(2, 2)");
      throw Error("stop");
    }),
                 Error);
    database->transaction([&] { database->execute("INSERT INTO t VALUES(3, 3)"); });
  });
  auto row = database->prepare("SELECT group_concat(k) FROM t");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.text(0), "1,3");
}

TEST_F(DatabaseTest, RunsTheSchemaOnlyForANewerVersion) {
  open()->execute("INSERT INTO t VALUES(1, 1)");
  EXPECT_EQ(count(*open(1, "DROP TABLE t")), 1);
  auto newer = open(2, "CREATE TABLE u(a)");
  newer->execute("INSERT INTO u VALUES(1)");
  EXPECT_EQ(count(*newer), 1);
}

TEST_F(DatabaseTest, AnOlderDatabaseIsMigratedBeforeTheSchemaIsRun) {
  open()->execute("INSERT INTO t VALUES(1, 1)");
  const auto migrated = Database::open(
      path_, 3, "CREATE INDEX IF NOT EXISTS t_by_w ON t(w)",
      [](Database& database, int64_t stored) {
        EXPECT_EQ(stored, 1);
        database.execute("ALTER TABLE t ADD COLUMN w");
        database.transaction([&] { database.execute("INSERT INTO t VALUES(2, 2, 2)"); });
      });
  EXPECT_EQ(count(*migrated), 2);
  // Nothing is there to be migrated.
  const std::string fresh = dir_.path() + "/fresh.db";
  Database::open(fresh, 3, kSchema, [](Database&, int64_t) { FAIL(); });
  Database::open(fresh, 3, kSchema, [](Database&, int64_t) { FAIL(); });
}

TEST_F(DatabaseTest, AMigrationThatFailsHasDoneNothing) {
  open()->execute("INSERT INTO t VALUES(1, 1)");
  const auto fail = [](Database& database, int64_t) {
    database.execute("DELETE FROM t");
    throw Error("stop");
  };
  EXPECT_THROW(Database::open(path_, 2, kSchema, fail), Error);
  EXPECT_EQ(count(*open()), 1);
  int runs = 0;
  EXPECT_EQ(count(*Database::open(path_, 2, kSchema, [&](Database&, int64_t) { ++runs; })), 1);
  EXPECT_EQ(runs, 1);
}

TEST_F(DatabaseTest, ProcessesThatStartAtOnceMigrateOnce) {
  open()->execute("INSERT INTO t VALUES(1, 0)");
  test::in_processes(4, [&](int) {
    Database::open(path_, 2, kSchema,
                   [](Database& database, int64_t) { database.execute("UPDATE t SET v = v + 1"); });
  });
  auto database = open(2);
  auto row = database->prepare("SELECT v FROM t");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.integer(0), 1);
}

TEST_F(DatabaseTest, RefusesANewerLadesDatabase) {
  open(3);
  try {
    open(2);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), testing::HasSubstr("newer lade"));
  }
}

TEST_F(DatabaseTest, AForeignFileIsCorrupt) {
  sys::write_file_atomically(path_, std::string(8192, 'x'));
  try {
    open();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(error.hint(), testing::HasSubstr("move that directory away"));
  }
}

TEST_F(DatabaseTest, LocalFilesystemsAreAccepted) {
  refuse_network_filesystem(dir_.path());
}

TEST_F(DatabaseTest, ThreadsShareAConnection) {
  auto database = open();
  database->execute("INSERT INTO t VALUES(1, 0)");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 50; ++k) {
        database->transaction([&] {
          int64_t value = 0;
          {
            auto row = database->prepare("SELECT v FROM t WHERE k = 1");
            row.step();
            value = row.integer(0);
          }
          database->prepare("UPDATE t SET v = ? WHERE k = 1").bind(value + 1).run();
        });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  auto row = database->prepare("SELECT v FROM t WHERE k = 1");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.integer(0), 200);
}

TEST_F(DatabaseTest, ProcessesLoseNoUpdateWhileOthersCheckpoint) {
  constexpr int kProcesses = 4;
  constexpr int kRounds = 100;
  open()->execute("INSERT INTO t VALUES(1, 0)");
  test::in_processes(kProcesses, [&](int) {
    auto database = open();
    for (int k = 0; k < kRounds; ++k) {
      database->transaction([&] {
        database->execute("UPDATE t SET v = v + 1 WHERE k = 1");
        // Enough for the WAL to grow past the limit now and then.
        database->prepare("INSERT INTO t VALUES(NULL, ?)")
            .bind_blob(std::string(30'000, 'x'))
            .run();
      });
      database->checkpoint_if_large();
    }
  });
  auto database = open();
  auto row = database->prepare("SELECT v FROM t WHERE k = 1");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.integer(0), kProcesses * kRounds);
  EXPECT_EQ(count(*database), 1 + kProcesses * kRounds);
  auto check = database->prepare("PRAGMA integrity_check");
  ASSERT_TRUE(check.step());
  EXPECT_EQ(check.text(0), "ok");
}

TEST_F(DatabaseTest, AKilledProcessLeavesAllItHasCommitted) {
  const sys::Pipe pipe = sys::pipe();
  open();
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    try {
      auto database = open();
      for (int64_t k = 1;; ++k) {
        database->prepare("INSERT INTO t VALUES(?, 0)").bind(k).run();
        sys::write_all(pipe.write.get(), "x");
      }
    } catch (...) {
      ::_exit(1);
    }
  }
  char byte = 0;
  for (int i = 0; i < 20; ++i) ASSERT_EQ(sys::read_some(pipe.read.get(), &byte, 1), 1U);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  EXPECT_GE(count(*open()), 20);
}

TEST_F(DatabaseTest, ClosingDoesNotCheckpoint) {
  open()->execute("INSERT INTO t VALUES(1, 1)");
  EXPECT_GT(wal_size(), 0);
}

TEST_F(DatabaseTest, CheckpointsOnlyALargeWal) {
  auto database = open();
  database->execute("INSERT INTO t VALUES(1, 1)");
  const off_t small = wal_size();
  database->checkpoint_if_large();
  EXPECT_EQ(wal_size(), small);
  database->prepare("INSERT INTO t VALUES(2, ?)").bind_blob(std::string(2 << 20, 'x')).run();
  EXPECT_GT(wal_size(), 2 << 20);
  database->checkpoint_if_large();
  EXPECT_EQ(wal_size(), 0);
  EXPECT_EQ(count(*database), 2);
}

TEST_F(DatabaseTest, DoesNotCheckpointWhileAnotherConnectionWrites) {
  auto database = open();
  auto other = database->reopen();
  database->prepare("INSERT INTO t VALUES(1, ?)").bind_blob(std::string(2 << 20, 'x')).run();
  other->transaction([&] {
    other->execute("INSERT INTO t VALUES(2, 2)");
    const off_t size = wal_size();
    database->checkpoint_if_large();
    EXPECT_EQ(wal_size(), size);
  });
  database->checkpoint_if_large();
  EXPECT_EQ(wal_size(), 0);
  EXPECT_EQ(count(*database), 2);
}

TEST_F(DatabaseTest, TwoProcessesMayMakeItAtOnce) {
  test::in_processes(8, [&](int) { open()->execute("INSERT INTO t VALUES(NULL, 1)"); });
  EXPECT_EQ(count(*open()), 8);
}

}  // namespace
}  // namespace lade
