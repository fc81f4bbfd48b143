// LayerStore: opening, making and committing layers, what is known of each.

#include "snapshotter/layers/layer_store.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/file_lock.hpp"
#include "base/remove_tree.hpp"
#include "base/text.hpp"
#include "base/user_namespace.hpp"
#include "base/wire.hpp"
#include "snapshotter/content/descriptor_row.hpp"
#include "snapshotter/layers/layer_store_state.hpp"
#include "snapshotter/tar/tar.hpp"
#include "snapshotter/tree/dir_scan.hpp"

namespace lade {
namespace {

constexpr std::string_view kPendingPrefix = "layer-";
constexpr std::string_view kIngestPrefix = "ingest-";  // the content store's

std::string kernel_boot_id() {
  const auto id = sys::read_file("/proc/sys/kernel/random/boot_id");
  return id ? std::string(trim(*id)) : "unknown";
}

}  // namespace

std::string layer_name(LayerId layer) {
  std::string out;
  for (auto left = static_cast<uint64_t>(layer); left > 0; left /= 36) {
    out.insert(out.begin(), "0123456789abcdefghijklmnopqrstuvwxyz"[left % 36]);
  }
  return out.empty() ? "0" : out;
}

std::string_view LayerStore::schema() {
  return R"(
CREATE TABLE IF NOT EXISTS layers(
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: caches of other processes hold ids
  diff_id BLOB,
  content_digest BLOB,
  has_directory INTEGER NOT NULL,
  of_image INTEGER NOT NULL,            -- can be had again from its blob
  root_opaque INTEGER NOT NULL DEFAULT 0,
  root_mode INTEGER,                    -- null: the layer says nothing of the root directory
  root_uid INTEGER,
  root_gid INTEGER,
  boot_id TEXT NOT NULL,
  durable INTEGER NOT NULL,             -- the directory and index have reached the disk
  created_at INTEGER NOT NULL DEFAULT (unixepoch()),
  claim BLOB,                           -- a cache's word that it is known by: LayerClaim::digest()
  claimed_content BLOB,                 -- what that says its content_digest is
  claim_holds INTEGER                   -- null: not compared with the blob yet
);
CREATE INDEX IF NOT EXISTS layers_by_diff_id ON layers(diff_id) WHERE diff_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS layers_not_durable ON layers(boot_id) WHERE durable = 0;
CREATE UNIQUE INDEX IF NOT EXISTS layers_by_claim ON layers(claim) WHERE claim IS NOT NULL;
CREATE INDEX IF NOT EXISTS layers_claimed_falsely ON layers(claim) WHERE claim_holds = 0;
CREATE TABLE IF NOT EXISTS layer_blobs(
  layer INTEGER NOT NULL REFERENCES layers(id) ON DELETE CASCADE,
  encoding TEXT NOT NULL,
  digest BLOB NOT NULL,
  descriptor TEXT NOT NULL,
  PRIMARY KEY(layer, encoding, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS layer_blobs_by_digest ON layer_blobs(digest);
CREATE TABLE IF NOT EXISTS flattened_stacks(
  stack BLOB PRIMARY KEY,               -- digest of the ids of the layers it merges
  layer INTEGER NOT NULL REFERENCES layers(id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shared_layers(
  layer INTEGER PRIMARY KEY REFERENCES layers(id) ON DELETE CASCADE, -- its files may be others', too
  changing INTEGER NOT NULL DEFAULT 0   -- it is given files of its own, or a kill ended that
);
CREATE TABLE IF NOT EXISTS layer_use(
  layer INTEGER PRIMARY KEY REFERENCES layers(id) ON DELETE CASCADE,
  last_used INTEGER NOT NULL            -- within the hour; none: when it was made
);
)";
}

RootAttributes RootAttributes::of(const LayerIndex& index) {
  RootAttributes out;
  const Entry* root = index.find("");
  if (!root) return out;
  return {root->opaque, true, root->mode, root->uid, root->gid};
}

void RootAttributes::bind_to(Statement& row) const {
  row.bind(int64_t{opaque});
  if (present) {
    row.bind(int64_t{mode}).bind(int64_t{uid}).bind(int64_t{gid});
  } else {
    row.bind_null().bind_null().bind_null();
  }
}

LayerStoreState::LayerStoreState(std::string state_root, Database& state_database,
                                 ContentStore& content_store, const LayerStoreOptions& options)
    : root(std::move(state_root)),
      database(state_database),
      content(content_store),
      userxattr(in_user_namespace()),
      boot_id(options.boot_id.empty() ? kernel_boot_id() : options.boot_id),
      layers_dir(sys::open(root + "/layers", O_RDONLY | O_DIRECTORY)),
      tmp_dir(sys::open(root + "/tmp", O_RDONLY | O_DIRECTORY)),
      durability(
          sys::openat(layers_dir.get(), ".", O_RDONLY | O_DIRECTORY),
          [&connection = state_database] { return connection.reopen(); }, options.durability_delay),
      pins(root) {}

std::string LayerStoreState::name(LayerId layer) const {
  return layer_name(layer);
}

void LayerStoreState::place(const PendingLayer& pending, LayerId layer) const {
  // Ids are given out in the transaction that this is part of: what has the name already was left
  // by a process that died before its commit.
  const std::string target = root + "/layers/" + name(layer);
  if (::rename(pending.path().c_str(), target.c_str()) != 0) {
    if (errno != EEXIST && errno != ENOTEMPTY) throw_errno("could not rename to " + quoted(target));
    sys::remove_tree(layers_dir.get(), name(layer));
    sys::renameat(AT_FDCWD, pending.path(), AT_FDCWD, target);
  }
  sys::renameat(AT_FDCWD, pending.dir_.path() + "/index", AT_FDCWD, index_path(layer));
}

void LayerStoreState::remember(LayerId layer, std::shared_ptr<const LayerIndex> index) {
  const std::lock_guard lock(mutex);
  with_directory.insert(layer);
  indexes[layer] = std::move(index);
}

namespace {

/// Removes a half-written blob of a dead process: nobody holds its lock.
void sweep_ingest(int dir, const std::string& name) {
  const auto file = sys::try_openat(dir, name, O_RDONLY | O_NOFOLLOW);
  if (!file || ::flock(file->get(), LOCK_EX | LOCK_NB) != 0) return;
  ::unlinkat(dir, name.c_str(), 0);
}

}  // namespace

void LayerStoreState::sweep_tmp() {
  {
    const std::lock_guard lock(mutex);
    if (std::exchange(swept, true)) return;
  }
  // A descriptor of its own, as its lock must exclude other processes' and this one's prepare().
  const UniqueFd dir = sys::open(root + "/tmp", O_RDONLY | O_DIRECTORY);
  if (::flock(dir.get(), LOCK_EX | LOCK_NB) != 0) return;  // somebody is making a layer: next time
  for (const auto& entry : sys::list_dir(dir.get())) {
    if (entry.starts_with(kIngestPrefix)) sweep_ingest(dir.get(), entry);
    if (!entry.starts_with(kPendingPrefix)) continue;
    const auto pending = sys::try_openat(dir.get(), entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!pending || ::flock(pending->get(), LOCK_EX | LOCK_NB) != 0) continue;  // its owner lives
    try {
      sys::remove_tree(dir.get(), entry);
    } catch (const Error&) {
      // Something is mounted in it, or it is half gone: it is in nobody's way.
    }
  }
}

void LayerStoreState::drop_lost_layers() {
  {
    auto any = database.prepare("SELECT 1 FROM layers WHERE durable = 0 AND boot_id <> ? LIMIT 1");
    if (!any.bind(boot_id).step()) return;
  }
  // One process does it; the rows are read again, since another one may have just done it.
  const UniqueFd lock = sys::open(root + "/locks/recovery", O_RDWR | O_CREAT, 0600);
  lock_file(lock.get(), LOCK_EX, "the state directory for recovery");
  std::vector<LayerId> lost;
  {
    auto row = database.prepare("SELECT id FROM layers WHERE durable = 0 AND boot_id <> ?");
    row.bind(boot_id);
    while (row.step()) lost.push_back(row.integer(0));
  }
  // The rows go last: a crash in between starts over.
  for (const LayerId layer : lost) {
    sys::remove_tree(layers_dir.get(), name(layer));
    sys::remove_tree(AT_FDCWD, index_path(layer));
  }
  database.transaction([&] {
    for (const LayerId layer : lost) {
      database.prepare("DELETE FROM layers WHERE id = ? AND of_image = 0").bind(layer).run();
      database.prepare("UPDATE layers SET has_directory = 0, durable = 1 WHERE id = ?")
          .bind(layer)
          .run();
    }
  });
}

LayerStore::LayerStore(std::unique_ptr<LayerStoreState> state) : state_(std::move(state)) {}

LayerStore::~LayerStore() = default;

std::unique_ptr<LayerStore> LayerStore::open(const std::string& root, Database& database,
                                             ContentStore& content,
                                             const LayerStoreOptions& options) {
  // "0" and "00" are empty layers for mounts that need one: no row has the id 0.
  for (const char* dir : {"/tmp", "/locks", "/index", "/layers", "/layers/0", "/layers/00"}) {
    const std::string path = root + dir;
    if (::access(path.c_str(), F_OK) == 0) continue;
    // The empty layers are seen by steps, as the root of a stack that has no other.
    sys::make_dirs(path, path.ends_with('0') ? 0755 : 0700);
  }
  auto state = std::make_unique<LayerStoreState>(root, database, content, options);
  state->drop_lost_layers();
  return std::unique_ptr<LayerStore>(new LayerStore(std::move(state)));
}

PendingLayer LayerStore::prepare() {
  state_->sweep_tmp();
  PendingLayer out;
  {
    // Between making the directory and locking it, a sweep must not take it for a dead one's. The
    // lock is this process's as a whole, hence the mutex.
    const std::lock_guard guard(state_->mutex);
    lock_file(state_->tmp_dir.get(), LOCK_SH, quoted(state_->root + "/tmp"));
    struct Unlock {
      int fd;
      ~Unlock() { ::flock(fd, LOCK_UN); }
    } unlock{state_->tmp_dir.get()};
    out.dir_ = TempDir::create(state_->root + "/tmp", std::string(kPendingPrefix));
    out.lock_ = sys::open(out.dir_.path(), O_RDONLY | O_DIRECTORY);
    lock_file(out.lock_.get(), LOCK_EX, quoted(out.dir_.path()));
  }
  sys::mkdirat(out.lock_.get(), "work", 0700);
  sys::mkdirat(out.lock_.get(), "fs", 0755);
  // Whatever the umask, and whatever group or setgid bit the state directory hands on.
  if (::fchownat(out.lock_.get(), "fs", ::geteuid(), ::getegid(), 0) != 0 ||
      ::fchmodat(out.lock_.get(), "fs", 0755, 0) != 0) {
    throw_errno("could not prepare " + quoted(out.path()));
  }
  return out;
}

LayerId LayerStore::commit(PendingLayer layer, LayerIndex index, bool shares_files) {
  // Here, where it is known which step made it.
  for (const auto& entry : index.entries()) refuse_marker_name(entry);
  const auto shared = std::make_shared<const LayerIndex>(std::move(index));
  LayerStoreState::write_index(layer.dir_.path() + "/index", *shared);
  LayerId id = 0;
  Database& database = state_->database;
  database.transaction([&] {
    auto row = database.prepare(
        "INSERT INTO layers(has_directory, of_image, root_opaque, root_mode, root_uid, root_gid, "
        "boot_id, durable) VALUES(1, 0, ?, ?, ?, ?, ?, 0)");
    RootAttributes::of(*shared).bind_to(row);
    row.bind(state_->boot_id).run();
    id = database.last_id();
    state_->pins.pin(id);  // nobody else knows it yet
    if (shares_files) {
      database.prepare("INSERT INTO shared_layers(layer) VALUES(?)").bind(id).run();
    }
    state_->place(layer, id);
  });
  state_->remember(id, shared);
  {
    const std::lock_guard lock(state_->mutex);
    state_->held.insert(id);
  }
  state_->durability.note_commit();
  return id;
}

LayerId LayerStore::commit_upper(PendingLayer layer, const LayerStack& lower) {
  const UniqueFd dir = sys::open(layer.path(), O_RDONLY | O_DIRECTORY);
  LayerIndex index = with_context("could not commit a step's changes", [&] {
    return index_upper(dir.get(), state_->userxattr, merged(lower),
                       [&](const Found& found) { return open_file(lower, found); });
  });
  return commit(std::move(layer), std::move(index));
}

std::optional<LayerId> LayerStore::find(const DiffId& diff_id) const {
  auto row = state_->database.prepare(
      "SELECT id FROM layers WHERE diff_id = ? AND claim IS NULL "
      "ORDER BY has_directory DESC, id LIMIT 1");
  if (!row.bind(diff_id.digest).step()) return std::nullopt;
  return row.integer(0);
}

std::optional<LayerId> LayerStore::find(const DiffId& diff_id, const Digest& blob) const {
  auto row = state_->database.prepare(
      "SELECT id FROM layers WHERE diff_id = ? AND claim IS NULL AND EXISTS("
      "SELECT 1 FROM layer_blobs WHERE layer = id AND digest = ?) ORDER BY id LIMIT 1");
  if (!row.bind(diff_id.digest).bind(blob).step()) return std::nullopt;
  return row.integer(0);
}

LayerId LayerStore::insert_known(const DiffId& diff_id, const Digest& content) {
  state_->database
      .prepare(
          "INSERT INTO layers(diff_id, content_digest, has_directory, of_image, boot_id, durable)"
          " VALUES(?, ?, 0, 1, ?, 1)")
      .bind(diff_id.digest)
      .bind(content)
      .bind(state_->boot_id)
      .run();
  return state_->database.last_id();
}

LayerId LayerStore::add_known(const DiffId& diff_id, const Descriptor& blob) {
  for (;;) {
    const LayerId layer = add_or_find(diff_id, blob);
    // One that was there may have been removed before it was pinned.
    if (exists({layer})) return layer;
    // Or it is a step's, and somebody has removed its directory: being an image's, too, it can be
    // unpacked again.
    state_->database.prepare("UPDATE layers SET has_directory = 0, of_image = 1 WHERE id = ?")
        .bind(layer)
        .run();
  }
}

LayerStack LayerStore::add_image(const std::string& image, const std::vector<DiffId>& diff_ids,
                                 const std::vector<Descriptor>& blobs) {
  if (blobs.size() != diff_ids.size()) {
    throw Error(fmt::format("{} lists {} layers, but its config has {} diff IDs", image,
                            blobs.size(), diff_ids.size()),
                ErrorKind::corrupt);
  }
  LayerStack layers;
  for (size_t i = 0; i < blobs.size(); ++i) layers.push_back(add_known(diff_ids[i], blobs[i]));
  const auto stack = std::make_shared<const LayerStack>(layers);
  const std::lock_guard lock(state_->mutex);
  for (size_t i = 0; i < stack->size(); ++i) {
    state_->of_images.try_emplace((*stack)[i], LayerStoreState::InImage{stack, i});
  }
  return layers;
}

namespace {

constexpr std::string_view kAsPulled = "as-pulled";

/// A manifest may name the right blob with a false size or type. What the first one said must not
/// hold for all others that name the blob: the latest is taken, unless the blob is here and says
/// otherwise.
void correct_descriptor(Database& database, const ContentStore& content, LayerId layer,
                        const Descriptor& blob) {
  const std::string text = descriptor_text(blob);
  {
    auto row = database.prepare(
        "SELECT 1 FROM layer_blobs WHERE layer = ? AND encoding = ? AND digest = ? AND descriptor "
        "<> ?");
    if (!row.bind(layer).bind(kAsPulled).bind(blob.digest).bind(std::string_view(text)).step())
      return;
  }
  const auto size = content.size(blob.digest);
  if (size && *size != blob.size) return;
  database
      .prepare(
          "UPDATE layer_blobs SET descriptor = ? WHERE layer = ? AND encoding = ? AND digest = ?")
      .bind(std::string_view(text))
      .bind(layer)
      .bind(kAsPulled)
      .bind(blob.digest)
      .run();
}

}  // namespace

LayerId LayerStore::add_or_find(const DiffId& diff_id, const Descriptor& blob) {
  // The usual case of a cached build writes nothing.
  if (const auto known = find(diff_id, blob.digest)) {
    correct_descriptor(state_->database, state_->content, *known, blob);
    return *known;
  }
  LayerId id = 0;
  state_->database.transaction([&] {
    if (const auto known = find(diff_id, blob.digest)) {
      id = *known;
      return;
    }
    id = insert_known(diff_id, image_layer_content(diff_id));
    record_blob(id, {std::string(kAsPulled), blob});
  });
  return id;
}

std::optional<LayerInfo> LayerStore::info(LayerId layer) const {
  LayerInfo out;
  out.id = layer;
  {
    auto row = state_->database.prepare(
        "SELECT diff_id, content_digest, has_directory, claim, claimed_content, claim_holds "
        "FROM layers WHERE id = ?");
    if (!row.bind(layer).step()) return std::nullopt;
    if (!row.is_null(0)) out.diff_id = DiffId{row.digest(0)};
    if (!row.is_null(1)) out.content_digest = row.digest(1);
    out.has_directory = row.integer(2) != 0;
    if (!row.is_null(3)) out.claim = row.digest(3);
    if (!row.is_null(4)) out.claimed_content = row.digest(4);
    if (!row.is_null(5)) out.claim_holds = row.integer(5) != 0;
  }
  auto row = state_->database.prepare(
      "SELECT encoding, descriptor FROM layer_blobs WHERE layer = ? ORDER BY encoding, digest");
  row.bind(layer);
  while (row.step()) {
    // A damaged row is a blob that is not known: the layer has its other forms.
    if (auto blob = try_parse_descriptor(row.text(1))) {
      out.blobs.push_back({row.text(0), std::move(*blob)});
    }
  }
  return out;
}

/// Of a layer whose directory somebody removed behind lade's back. One of an image is known without
/// it, and can be unpacked again; false for others, which only their steps can make again.
bool LayerStoreState::forget_directory(LayerId layer) {
  database.prepare("UPDATE layers SET has_directory = 0 WHERE id = ? AND of_image = 1")
      .bind(layer)
      .run();
  auto row = database.prepare("SELECT 1 FROM layers WHERE id = ? AND of_image = 1");
  return row.bind(layer).step();
}

/// Whether a layer that is pinned is there.
bool LayerStoreState::look_for(LayerId layer) {
  auto row = database.prepare(
      "SELECT has_directory, coalesce(last_used, created_at), claim FROM layers "
      "LEFT JOIN layer_use ON layer = id WHERE id = ?");
  if (!row.bind(layer).step()) return false;
  const bool has_directory = row.integer(0) != 0;
  const std::optional<Digest> claim = row.is_null(2) ? std::nullopt : std::optional(row.digest(2));
  const bool is_lost =
      has_directory && ::faccessat(layers_dir.get(), name(layer).c_str(), F_OK, 0) != 0;
  if (is_lost && !forget_directory(layer)) return false;
  const std::lock_guard lock(mutex);
  used_before[layer] = row.integer(1);
  claims[layer] = claim;
  if (has_directory && !is_lost) with_directory.insert(layer);
  held.insert(layer);
  return true;
}

bool LayerStore::exists(const LayerStack& stack) const {
  const LayerStack unsure = [&] {
    const std::lock_guard lock(state_->mutex);
    return state_->held.missing(stack);
  }();
  return std::all_of(unsure.begin(), unsure.end(), [&](LayerId layer) {
    state_->pins.pin(layer);
    return state_->look_for(layer);
  });
}

void LayerStore::note_used(const LayerStack& stack) {
  const std::lock_guard lock(state_->mutex);
  for (LayerSet* set : {&state_->used, &state_->ever_used}) {
    for (const LayerId layer : set->missing(stack)) set->insert(layer);
  }
}

void LayerStore::release_unused() {
  const std::lock_guard lock(state_->mutex);
  state_->held.keep_only(state_->ever_used.layers());
  state_->pins.keep_only(state_->ever_used.layers());
}

std::optional<int64_t> LayerStore::oldest_other_start() const {
  return state_->pins.oldest_other_start();
}

void LayerStore::write_use() {
  constexpr int64_t kHour = 3600;
  const int64_t now = now_seconds();
  std::vector<LayerId> stale;
  {
    const std::lock_guard lock(state_->mutex);
    for (const LayerId layer : state_->used.take()) {
      // Those that are not known were made just now.
      const auto before = state_->used_before.find(layer);
      if (before == state_->used_before.end() || before->second > now - kHour) continue;
      before->second = now;
      stale.push_back(layer);
    }
  }
  if (stale.empty()) return;
  state_->database.transaction([&] {
    for (const LayerId layer : stale) {
      state_->database
          .prepare("INSERT OR REPLACE INTO layer_use SELECT id, ? FROM layers WHERE id = ?")
          .bind(now)
          .bind(layer)
          .run();
    }
  });
}

void LayerStore::record_diff_id(LayerId layer, const DiffId& diff_id) {
  state_->database.prepare("UPDATE layers SET diff_id = ? WHERE id = ?")
      .bind(diff_id.digest)
      .bind(layer)
      .run();
}

void LayerStore::record_blob(LayerId layer, const LayerBlob& blob) {
  state_->database.prepare("INSERT OR REPLACE INTO layer_blobs VALUES(?, ?, ?, ?)")
      .bind(layer)
      .bind(blob.encoding)
      .bind(blob.descriptor.digest)
      .bind(descriptor_text(blob.descriptor))
      .run();
}

bool LayerStore::knows_blob(const Digest& digest) const {
  return state_->database.prepare("SELECT 1 FROM layer_blobs WHERE digest = ? LIMIT 1")
      .bind(digest)
      .step();
}

}  // namespace lade
