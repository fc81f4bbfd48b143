// SQLite behind RAII: the state directory's one database, shared by many lade processes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace lade {

/// A prepared statement in use. Binds are 1-based and in order; rows come with step(). It holds the
/// connection's lock for as long as it lives: keep it short, and destroy it on the thread that made
/// it.
class Statement {
 public:
  Statement& bind(int64_t value);
  Statement& bind(std::string_view text);
  Statement& bind(const Digest& digest);  ///< as its 32 bytes
  Statement& bind_blob(std::string_view bytes);
  Statement& bind_null();

  /// True when there is a row to read; throws Error.
  bool step();
  /// For statements without rows.
  void run() { step(); }

  int64_t integer(int column) const;
  std::string text(int column) const;
  std::string blob(int column) const;
  Digest digest(int column) const;  ///< Error(corrupt) unless it is a blob of 32 bytes
  bool is_null(int column) const;

 private:
  friend class Database;
  struct Slot;
  struct Release {
    void operator()(Slot* slot) const;  // resets; the cache keeps it
  };
  Statement(std::unique_lock<std::recursive_mutex> lock, Slot* slot)
      : lock_(std::move(lock)), slot_(slot) {}
  void check(int result) const;

  std::unique_lock<std::recursive_mutex> lock_;  // released after slot_
  std::unique_ptr<Slot, Release> slot_;
  int next_ = 1;
};

/// Of an Error that says what of the state database is damaged: how to go on.
extern const char* const kDamagedDatabaseHint;

/// Throws Error if `path` is on a network filesystem: neither SQLite's write-ahead log nor flock
/// can be trusted there.
void refuse_network_filesystem(const std::string& path);

/// One connection, for all threads of this process (statements and transactions serialise on a
/// lock). WAL, synchronous=NORMAL, no automatic checkpoint; checkpoints run under a lock file
/// (`path`-lock) that excludes writers of other processes (SQLite 3.40's racing checkpoints can
/// corrupt).
class Database {
 public:
  /// Brings a database that is there from version `stored` to today's, before its schema is run.
  using Migrate = std::function<void(Database&, int64_t stored)>;
  /// Opens or makes the database. When `schema_version` is newer than the stored one, `migrate`
  /// (unless the database is new) and `schema` (idempotent statements) run in one transaction, in
  /// one process; a newer stored one is an Error. Refuses network filesystems when it makes the
  /// file.
  static std::unique_ptr<Database> open(const std::string& path, int schema_version,
                                        std::string_view schema, const Migrate& migrate = {});
  ~Database();
  /// Another connection to the same database, with locks and transactions of its own.
  std::unique_ptr<Database> reopen() const;

  /// Serialises this process's threads on the connection, over several statements.
  std::unique_lock<std::recursive_mutex> lock() { return std::unique_lock(mutex_); }
  /// A statement from the connection's cache, prepared once.
  Statement prepare(std::string_view sql);
  /// Runs statements without binds or rows (`CREATE TABLE IF NOT EXISTS ...`).
  void execute(const std::string& sql);
  /// BEGIN IMMEDIATE ... COMMIT around `body`; ROLLBACK if it throws. May be nested: an inner one
  /// is a savepoint of the outer.
  void transaction(const std::function<void()>& body);
  int64_t last_id() const;
  int64_t changes() const;
  /// Folds the WAL back if it has grown past 1 MiB (each opening reads it whole) and no other
  /// process is writing or reading an old state now.
  void checkpoint_if_large();

 private:
  Database() = default;
  static std::unique_ptr<Database> connect(const std::string& path);
  void create_schema(int version, const std::string& schema, const Migrate& migrate);
  int64_t user_version();

  struct Connection;
  std::recursive_mutex mutex_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace lade
