#include "base/database.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unordered_map>

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/error.hpp"
#include "base/file_lock.hpp"
#include "base/sys.hpp"
#include "base/unique_fd.hpp"

namespace lade {

const char* const kDamagedDatabaseHint =
    "the database of the state directory is damaged, which lade cannot mend: move that directory "
    "away (images that were only there are lost, the cache is built again), or choose another one "
    "with --root";

namespace {

constexpr int kBusyTimeoutMs = 30'000;
constexpr off_t kLargeWal = 1 << 20;

/// What the system said when SQLite last failed to read or write; 0: nothing. SQLite tells of it
/// only in part: a journal that cannot be read is a "malformed" database to it.
int last_errno(sqlite3* db) {
  if (const int err = sqlite3_system_errno(db)) return err;
  int of_database = 0;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &of_database);
  if (of_database != 0) return of_database;
  sqlite3_file* journal = nullptr;
  int of_journal = 0;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &journal);
  if (journal && journal->pMethods) {
    journal->pMethods->xFileControl(journal, SQLITE_FCNTL_LAST_ERRNO, &of_journal);
  }
  return of_journal;
}

[[noreturn]] void fail(sqlite3* db, int result, std::string_view doing, bool preparing = false) {
  // The connection's message is the better one, but it belongs to the connection's last error only.
  const bool has_message = db && sqlite3_extended_errcode(db) == result;
  int primary = result & 0xff;
  const bool is_damaged = primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
  const int err = db && (primary == SQLITE_IOERR || is_damaged) ? last_errno(db) : 0;
  if (primary == SQLITE_FULL) throw Error::from_errno(ENOSPC, doing);
  if (err == EIO || (err != 0 && primary == SQLITE_IOERR)) throw Error::from_errno(err, doing);
  Error error(
      fmt::format("{}: {}", doing, has_message ? sqlite3_errmsg(db) : sqlite3_errstr(result)));
  // Lade's own statements are right: it is the schema that they do not fit.
  if (primary == SQLITE_ERROR && preparing) primary = SQLITE_CORRUPT;
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
    error.set_kind(ErrorKind::corrupt);
    error.set_hint(kDamagedDatabaseHint);
  }
  throw error;
}

/// The start of an error's message: which database, and what was asked of it.
std::string failed_at(sqlite3* db, std::string_view sql) {
  const char* const path = sqlite3_db_filename(db, "main");
  return fmt::format("the state database {} failed at {}", quoted(path ? path : ""), quoted(sql));
}

/// The lock file, held shared by whoever writes. Counted: a transaction's statements hold it again.
class WriterLock {
 public:
  explicit WriterLock(UniqueFd fd) : fd_(std::move(fd)) {}
  void acquire() { acquire(LOCK_SH); }
  /// Alone; nobody else in this process holds it.
  void acquire_exclusively() { acquire(LOCK_EX); }
  void release() {
    // An explicit unlock: closing alone would leave it to a child that was forked meanwhile.
    if (--count_ == 0) ::flock(fd_.get(), LOCK_UN);
  }
  int fd() const { return fd_.get(); }
  bool held() const { return count_ > 0; }

 private:
  void acquire(int how) {
    if (count_ == 0) lock_file(fd_.get(), how, "the database");
    ++count_;
  }

  UniqueFd fd_;
  int count_ = 0;
};

}  // namespace

struct Statement::Slot {
  sqlite3_stmt* statement = nullptr;
  WriterLock* writer = nullptr;
  bool in_use = false;
  bool writing = false;
};

struct Database::Connection {
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Slots = std::vector<std::unique_ptr<Statement::Slot>>;

  Connection(std::string file, UniqueFd lock) : path(std::move(file)), writer(std::move(lock)) {}
  ~Connection() {
    for (auto& [sql, slots] : statements) {
      for (auto& slot : slots) sqlite3_finalize(slot->statement);
    }
    sqlite3_close(db);
  }

  std::string path;
  WriterLock writer;
  sqlite3* db = nullptr;
  /// Several per text, since a statement may be wanted again while it is in use.
  std::unordered_map<std::string, Slots, TextHash, std::equal_to<>> statements;
  int depth = 0;  // of transactions
};

void Statement::Release::operator()(Slot* slot) const {
  sqlite3_reset(slot->statement);
  sqlite3_clear_bindings(slot->statement);
  if (slot->writing) slot->writer->release();
  slot->writing = false;
  slot->in_use = false;
}

void Statement::check(int result) const {
  if (result != SQLITE_OK) {
    fail(sqlite3_db_handle(slot_->statement), result, "could not bind a value of a statement");
  }
}

Statement& Statement::bind(int64_t value) {
  check(sqlite3_bind_int64(slot_->statement, next_++, value));
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  // A null pointer would bind NULL, which an empty view may carry.
  check(sqlite3_bind_text64(slot_->statement, next_++, text.empty() ? "" : text.data(), text.size(),
                            SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind(const Digest& digest) {
  return bind_blob({reinterpret_cast<const char*>(digest.bytes().data()), digest.bytes().size()});
}

Statement& Statement::bind_blob(std::string_view bytes) {
  check(sqlite3_bind_blob64(slot_->statement, next_++, bytes.empty() ? "" : bytes.data(),
                            bytes.size(), SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::bind_null() {
  check(sqlite3_bind_null(slot_->statement, next_++));
  return *this;
}

bool Statement::step() {
  if (!slot_->writing && !sqlite3_stmt_readonly(slot_->statement)) {
    slot_->writer->acquire();
    slot_->writing = true;
  }
  const int result = sqlite3_step(slot_->statement);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  sqlite3* db = sqlite3_db_handle(slot_->statement);
  fail(db, sqlite3_extended_errcode(db), failed_at(db, sqlite3_sql(slot_->statement)));
}

int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(slot_->statement, column);
}

std::string Statement::text(int column) const {
  return blob(column);
}

std::string Statement::blob(int column) const {
  const void* bytes = sqlite3_column_blob(slot_->statement, column);
  const int size = sqlite3_column_bytes(slot_->statement, column);
  return bytes ? std::string(static_cast<const char*>(bytes), static_cast<size_t>(size)) : "";
}

Digest Statement::digest(int column) const {
  const std::string bytes = blob(column);
  Digest::Bytes out{};
  if (bytes.size() != out.size()) {
    Error error("the state database holds a digest of the wrong length", ErrorKind::corrupt);
    error.set_hint(kDamagedDatabaseHint);
    throw error;
  }
  std::memcpy(out.data(), bytes.data(), out.size());
  return Digest(out);
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(slot_->statement, column) == SQLITE_NULL;
}

void refuse_network_filesystem(const std::string& path) {
  struct Kind {
    uint32_t magic;
    std::string_view name;
  };
  // statfs(2). FUSE is let through: it is as often local as not, and cannot be told apart here.
  static constexpr std::array<Kind, 11> kNetwork{{{0x6969, "NFS"},
                                                  {0xff534d42, "CIFS"},
                                                  {0xfe534d42, "SMB"},
                                                  {0x517b, "SMB"},
                                                  {0x564c, "NCP"},
                                                  {0x01021997, "9p"},
                                                  {0x5346414f, "AFS"},
                                                  {0x6b414653, "AFS"},
                                                  {0x73757245, "Coda"},
                                                  {0x00c36400, "Ceph"},
                                                  {0x0bd00bd0, "Lustre"}}};
  struct statfs info{};
  if (::statfs(path.c_str(), &info) != 0)
    throw_errno("could not stat the filesystem of " + quoted(path));
  const auto* kind = std::find_if(kNetwork.begin(), kNetwork.end(), [&](const Kind& candidate) {
    return candidate.magic == static_cast<uint32_t>(info.f_type);
  });
  if (kind == kNetwork.end()) return;
  Error error(fmt::format("{} is on a network filesystem ({})", quoted(path), kind->name));
  error.set_hint("keep lade's state on a local disk: --root DIR or LADE_ROOT");
  throw error;
}

std::unique_ptr<Database> Database::connect(const std::string& path) {
  auto lock = sys::try_openat(AT_FDCWD, path + "-lock", O_RDWR);
  if (!lock) {
    const size_t slash = path.rfind('/');
    refuse_network_filesystem(slash == std::string::npos ? "." : path.substr(0, slash + 1));
    // SQLite would make it with 0644, and gives its other files the database's mode.
    sys::open(path, O_RDWR | O_CREAT, 0600);
    lock = sys::open(path + "-lock", O_RDWR | O_CREAT, 0600);
  }
  std::unique_ptr<Database> database(new Database);
  database->connection_ = std::make_unique<Connection>(path, std::move(*lock));
  sqlite3*& db = database->connection_->db;
  // No mutex of SQLite's own: ours covers whole statements.
  const int result = sqlite3_open_v2(
      path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (result != SQLITE_OK) fail(db, result, "could not open the database " + quoted(path));
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, kBusyTimeoutMs);
  sqlite3_wal_autocheckpoint(db, 0);
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // Not as a PRAGMA: no statement reads the database before this holds, whatever happens to it.
  // Without it rows would stay that refer to nothing.
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
  // A setting of this connection, which needs no writer's lock.
  const int set = sqlite3_exec(db, "PRAGMA synchronous=NORMAL", nullptr, nullptr, nullptr);
  if (set != SQLITE_OK) fail(db, set, "could not open the database " + quoted(path));
  return database;
}

std::unique_ptr<Database> Database::reopen() const {
  return connect(connection_->path);
}

std::unique_ptr<Database> Database::open(const std::string& path, int schema_version,
                                         std::string_view schema, const Migrate& migrate) {
  auto database = connect(path);
  const int64_t stored = database->user_version();
  if (stored > schema_version) {
    throw Error(fmt::format("the database {} was made by a newer lade (its version is {}, ours {})",
                            quoted(path), stored, schema_version));
  }
  if (stored < schema_version) {
    database->create_schema(schema_version, std::string(schema), migrate);
  }
  return database;
}

Database::~Database() = default;

int64_t Database::user_version() {
  Statement statement = prepare("PRAGMA user_version");
  statement.step();
  return statement.integer(0);
}

void Database::create_schema(int version, const std::string& schema, const Migrate& migrate) {
  // Alone: the change to WAL mode does not go through SQLite's busy handler, and two processes may
  // start on a new state directory at once.
  WriterLock& writer = connection_->writer;
  writer.acquire_exclusively();
  struct Release {
    WriterLock& writer;
    ~Release() { writer.release(); }
  } release{writer};
  const auto run = [&](const std::string& sql) {
    const int result = sqlite3_exec(connection_->db, sql.c_str(), nullptr, nullptr, nullptr);
    if (result != SQLITE_OK)
      fail(connection_->db, result, "could not set up " + quoted(connection_->path));
  };
  run("PRAGMA journal_mode=WAL");
  transaction([&] {
    const int64_t stored = user_version();
    if (stored >= version) return;  // another process was faster
    if (stored > 0 && migrate) migrate(*this, stored);
    run(fmt::format("{}; PRAGMA user_version={}", schema, version));
  });
}

Statement Database::prepare(std::string_view sql) {
  auto guard = lock();
  auto found = connection_->statements.find(sql);
  if (found == connection_->statements.end()) {
    found = connection_->statements.emplace(std::string(sql), Connection::Slots{}).first;
  }
  for (auto& slot : found->second) {
    if (slot->in_use) continue;
    slot->in_use = true;
    return Statement(std::move(guard), slot.get());
  }
  auto slot = std::make_unique<Statement::Slot>();
  slot->writer = &connection_->writer;
  const int result = sqlite3_prepare_v3(connection_->db, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &slot->statement, nullptr);
  if (result != SQLITE_OK) {
    fail(connection_->db, result, failed_at(connection_->db, sql), true);
  }
  slot->in_use = true;
  found->second.push_back(std::move(slot));
  return Statement(std::move(guard), found->second.back().get());
}

void Database::execute(const std::string& sql) {
  const auto guard = lock();
  connection_->writer.acquire();
  const int result = sqlite3_exec(connection_->db, sql.c_str(), nullptr, nullptr, nullptr);
  connection_->writer.release();
  if (result != SQLITE_OK) fail(connection_->db, result, failed_at(connection_->db, sql));
}

void Database::transaction(const std::function<void()>& body) {
  const auto guard = lock();
  const bool outermost = connection_->depth == 0;
  connection_->writer.acquire();
  struct Leave {
    Connection& connection;
    ~Leave() { connection.writer.release(); }
  } leave{*connection_};
  prepare(outermost ? "BEGIN IMMEDIATE" : "SAVEPOINT inner_transaction").run();
  ++connection_->depth;
  try {
    body();
    prepare(outermost ? "COMMIT" : "RELEASE inner_transaction").run();
  } catch (...) {
    --connection_->depth;
    // Best effort: SQLite may have rolled back by itself (disk full), and the cause is the one to
    // report.
    sqlite3_exec(
        connection_->db,
        outermost ? "ROLLBACK" : "ROLLBACK TO inner_transaction; RELEASE inner_transaction",
        nullptr, nullptr, nullptr);
    throw;
  }
  --connection_->depth;
}

int64_t Database::last_id() const {
  return sqlite3_last_insert_rowid(connection_->db);
}

int64_t Database::changes() const {
  return sqlite3_changes64(connection_->db);
}

void Database::checkpoint_if_large() {
  const auto guard = lock();
  struct stat info{};
  if (::stat((connection_->path + "-wal").c_str(), &info) != 0 || info.st_size < kLargeWal) return;
  if (connection_->writer.held()) return;
  if (::flock(connection_->writer.fd(), LOCK_EX | LOCK_NB) != 0) return;
  // Never waits for readers: what they still need is folded back another time.
  sqlite3_busy_timeout(connection_->db, 0);
  const int result = sqlite3_wal_checkpoint_v2(connection_->db, nullptr, SQLITE_CHECKPOINT_TRUNCATE,
                                               nullptr, nullptr);
  sqlite3_busy_timeout(connection_->db, kBusyTimeoutMs);
  ::flock(connection_->writer.fd(), LOCK_UN);
  const int primary = result & 0xff;
  if (primary != SQLITE_OK && primary != SQLITE_BUSY && primary != SQLITE_LOCKED) {
    fail(connection_->db, result, "could not checkpoint " + quoted(connection_->path));
  }
}

}  // namespace lade
