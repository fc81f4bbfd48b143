// State directories of older versions: what is kept of them.
#include "snapshotter/state_migrations.hpp"

#include <set>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "base/wire.hpp"
#include "snapshotter/content/descriptor_row.hpp"
#include "snapshotter/content/image_config.hpp"
#include "snapshotter/content/manifest.hpp"
#include "snapshotter/state.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// As version 2 made it.
constexpr std::string_view kVersion2 = R"(
CREATE TABLE layers(
  id INTEGER PRIMARY KEY AUTOINCREMENT, diff_id BLOB, content_digest BLOB,
  has_directory INTEGER NOT NULL, of_image INTEGER NOT NULL,
  root_opaque INTEGER NOT NULL DEFAULT 0, root_mode INTEGER, root_uid INTEGER, root_gid INTEGER,
  boot_id TEXT NOT NULL, durable INTEGER NOT NULL,
  created_at INTEGER NOT NULL DEFAULT (unixepoch()));
CREATE INDEX layers_by_diff_id ON layers(diff_id) WHERE diff_id IS NOT NULL;
CREATE INDEX layers_not_durable ON layers(boot_id) WHERE durable = 0;
CREATE TABLE layer_blobs(
  layer INTEGER NOT NULL REFERENCES layers(id) ON DELETE CASCADE, encoding TEXT NOT NULL,
  digest BLOB NOT NULL, descriptor TEXT NOT NULL, PRIMARY KEY(layer, encoding, digest)) WITHOUT ROWID;
CREATE INDEX layer_blobs_by_digest ON layer_blobs(digest);
CREATE TABLE flattened_stacks(
  stack BLOB PRIMARY KEY,
  layer INTEGER NOT NULL REFERENCES layers(id) ON DELETE CASCADE) WITHOUT ROWID;
CREATE TABLE layer_use(
  layer INTEGER PRIMARY KEY REFERENCES layers(id) ON DELETE CASCADE, last_used INTEGER NOT NULL);
CREATE TABLE images(
  name TEXT PRIMARY KEY, descriptor TEXT NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE resolutions(
  reference TEXT PRIMARY KEY, descriptor TEXT NOT NULL, resolved_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE records(
  key BLOB PRIMARY KEY, op BLOB NOT NULL, created_at INTEGER NOT NULL, layers BLOB NOT NULL,
  inputs BLOB NOT NULL, components BLOB NOT NULL, origin TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE INDEX records_by_op ON records(op, created_at);
CREATE TABLE aliases(key BLOB PRIMARY KEY, target BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX aliases_by_target ON aliases(target);
)";

constexpr int64_t kBase = 1;        // an image's layer
constexpr int64_t kEvil = 2;        // a cache's
constexpr int64_t kFirstMade = 10;  // from here on they are steps'

struct Input {
  std::vector<int64_t> layers;
  Digest selection;
};

class StateMigrationsTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* dir : {"", "/tmp", "/locks", "/index", "/layers/0", "/layers/00"}) {
      sys::make_dirs(root_ + dir, 0700);
    }
    sys::write_file_atomically(root_ + "/format", "lade-state 1\n");
    database_ = Database::open(root_ + "/lade.db", 2, kVersion2);
    name_image();
    add_layer(kBase, base_.digest, content_of_image(base_.digest), true);
    add_blob(kBase, base_blob_);
  }

  static Digest d(std::string_view name) { return Digest::of(name); }
  static Digest content_of_image(const Digest& diff_id) {
    return Digest::of(WireWriter().text("diff-id").digest(diff_id).str());
  }

  /// The image "base", whose documents are here.
  void name_image() {
    const auto content = ContentStore::open(root_);
    ImageConfig config;
    config.platform = Platform::host();
    config.diff_ids = {base_};
    Manifest manifest;
    manifest.media_type = media_type::kOciManifest;
    manifest.config = content->put(config.serialize(), media_type::kOciConfig);
    manifest.layers = {base_blob_};
    const Descriptor image = content->put(manifest.serialize(), media_type::kOciManifest);
    database_->prepare("INSERT INTO images VALUES('docker.io/library/base:latest', ?, 1)")
        .bind(descriptor_text(image))
        .run();
  }

  static Descriptor blob_of(std::string_view name) {
    Descriptor blob;
    blob.media_type = media_type::kOciLayerGzip;
    blob.digest = d(name);
    blob.size = 7;
    return blob;
  }

  void add_layer(int64_t id, const std::optional<Digest>& diff_id,
                 const std::optional<Digest>& content, bool of_image) {
    auto row = database_->prepare(
        "INSERT INTO layers(id, diff_id, content_digest, has_directory, of_image, boot_id, durable)"
        " VALUES(?, ?, ?, 0, ?, 'boot', 1)");
    row.bind(id);
    for (const auto& digest : {diff_id, content}) {
      if (digest) {
        row.bind(*digest);
      } else {
        row.bind_null();
      }
    }
    row.bind(int64_t{of_image}).run();
  }

  void add_blob(int64_t layer, const Descriptor& blob) {
    database_->prepare("INSERT INTO layer_blobs VALUES(?, 'as-pulled', ?, '{}')")
        .bind(layer)
        .bind(blob.digest)
        .run();
  }

  static std::string stack(const std::vector<int64_t>& layers) {
    return WireWriter().list(layers, [](WireWriter& out, int64_t id) { out.number(id); }).take();
  }

  void add_record(const Digest& key, const Digest& op, const std::vector<int64_t>& layers,
                  const std::vector<Input>& inputs, const std::string& origin = "") {
    for (const int64_t id : layers) {
      if (id >= kFirstMade && made_.insert(id).second) add_layer(id, {}, d("made"), false);
    }
    WireWriter packed;
    packed.list(inputs, [](WireWriter& out, const Input& input) {
      out.list(input.layers, [](WireWriter& each, int64_t id) { each.number(id); });
      out.digest(input.selection);
    });
    database_->prepare("INSERT INTO records VALUES(?, ?, 0, ?, ?, zeroblob(8), ?)")
        .bind(key)
        .bind(op)
        .bind_blob(stack(layers))
        .bind_blob(packed.str())
        .bind(origin)
        .run();
  }

  /// A vertex's key, as version 2 made it. Of a local input the key is empty().
  static Digest key(const Digest& op, const std::vector<Digest>& inputs, const Digest& local = {}) {
    WireWriter writer;
    writer.text("lade key 1").digest(op);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].empty()) writer.number(i).digest(inputs[i]);
    }
    if (!local.empty()) writer.text("local").digest(local);
    return Digest::of(writer.str());
  }
  static Digest output(const Digest& key, uint32_t number) {
    return Digest::of(WireWriter().text("lade output").digest(key).number(number).str());
  }
  static Digest scratch() { return Digest::of(WireWriter().text("lade scratch").str()); }
  Digest image_key() const {
    const Digest chain = chain_id({}, base_).digest;
    return Digest::of(WireWriter().text("lade image").text(chain.str()).str());
  }

  /// What builds without any cache leave: their keys.
  std::vector<Digest> build_honestly() {
    const Digest run = key(d("run"), {image_key()});
    add_record(run, d("run"), {kBase, 10}, {{{kBase}, {}}});
    const Digest copy = key(d("copy"), {run, {}}, d("files"));
    add_record(copy, d("copy"), {kBase, 10, 11}, {{{kBase, 10}, {}}, {{}, d("files")}});
    const Digest stage = key(d("stage"), {scratch(), {}}, d("files"));
    add_record(stage, d("stage"), {12}, {{{}, {}}, {{}, d("files")}});
    const Digest from_stage = key(d("from"), {copy, stage});
    add_record(from_stage, d("from"), {kBase, 10, 11, 13},
               {{{kBase, 10, 11}, {}}, {{12}, d("selected")}});
    const Digest two = key(d("two"), {run});
    add_record(two, d("two"), {kBase, 10, 14}, {{{kBase, 10}, {}}});
    add_record(output(two, 1), output(d("two"), 1), {15}, {{{kBase, 10}, {}}});
    const Digest second = key(d("second"), {output(two, 1)});
    add_record(second, d("second"), {15, 16}, {{{15}, {}}});
    add_record(d("url"), d("url op"), {17}, {});
    return {run, copy, stage, from_stage, two, output(two, 1), second, d("url")};
  }

  void add_mount() { sys::make_dirs(root_ + "/cache-mounts/abc/fs/dir"); }

  std::unique_ptr<StateDir> migrate() {
    database_.reset();
    return StateDir::open(root_);
  }

  static std::vector<Digest> digests(StateDir& state, std::string_view query) {
    std::vector<Digest> out;
    auto row = state.database().prepare(query);
    while (row.step()) out.push_back(row.digest(0));
    return out;
  }
  static int64_t number(StateDir& state, std::string_view query) {
    auto row = state.database().prepare(query);
    return row.step() ? row.integer(0) : -1;
  }

  TempDir temp_ = TempDir::create("/tmp", "lade-test-");
  std::string root_ = temp_.path() + "/state";
  const DiffId base_{d("base")};
  const Descriptor base_blob_ = blob_of("base blob");
  std::unique_ptr<Database> database_;
  std::set<int64_t> made_;
};

TEST_F(StateMigrationsTest, WhereNoCacheWasReadAllStays) {
  const auto keys = build_honestly();
  database_->prepare("INSERT INTO aliases VALUES(?, ?)").bind(d("alias")).bind(keys[0]).run();
  // Its layer was found for its content's sake, under a key that proves nothing.
  add_record(d("unproven"), d("op"), {kBase, 18}, {{{kBase}, {}}});
  add_blob(kBase, blob_of("of an older image"));
  add_mount();
  const auto state = migrate();
  EXPECT_EQ(number(*state, "PRAGMA user_version"), kStateVersion);
  EXPECT_EQ(number(*state, "SELECT count(*) FROM records"), static_cast<int64_t>(keys.size()) + 1);
  EXPECT_THAT(digests(*state, "SELECT key FROM aliases"), ElementsAre(d("alias")));
  EXPECT_EQ(number(*state, "SELECT count(*) FROM layer_blobs"), 2);
  EXPECT_TRUE(sys::lstatat(AT_FDCWD, root_ + "/cache-mounts/abc/fs/dir"));
  const auto base = state->images().find("docker.io/library/base:latest");
  ASSERT_TRUE(base);
  EXPECT_FALSE(base->of_client);
}

TEST_F(StateMigrationsTest, WhatACacheSaidIsForgottenAndTheRestStays) {
  const auto keys = build_honestly();
  // A result that it claimed, of layers that were here; what ran on that; and what on that.
  const Digest claimed = key(d("claimed"), {image_key()});
  add_record(claimed, d("claimed"), {kBase}, {}, "registry:host/cache:1");
  const Digest on_it = key(d("on it"), {claimed});
  add_record(on_it, d("on it"), {kBase, 20}, {{{kBase}, {}}});
  const Digest on_that = key(d("on that"), {on_it});
  add_record(on_that, d("on that"), {kBase, 20, 21}, {{{kBase, 20}, {}}});
  const auto state = migrate();
  EXPECT_THAT(digests(*state, "SELECT key FROM records"), testing::UnorderedElementsAreArray(keys));
}

TEST_F(StateMigrationsTest, LayersThatCachesMadeKnownAreForgotten) {
  const auto keys = build_honestly();
  add_layer(kEvil, d("evil"), d("a content"), true);
  add_blob(kEvil, blob_of("evil blob"));
  // The row of an image that a cache had named first, with another one's content.
  const Digest mine = key(d("run"), {d("whatever")});
  add_record(mine, d("run"), {kEvil, 30}, {{{kEvil}, {}}});
  const auto state = migrate();
  EXPECT_THAT(digests(*state, "SELECT key FROM records"), testing::UnorderedElementsAreArray(keys));
  EXPECT_EQ(number(*state, "SELECT count(*) FROM layers WHERE id = 2"), 0);
  EXPECT_EQ(number(*state, "SELECT count(*) FROM layer_blobs WHERE layer = 2"), 0);
  EXPECT_EQ(number(*state, "SELECT count(*) FROM layers WHERE id = 1"), 1);
}

TEST_F(StateMigrationsTest, BlobsAndAliasesThatMayBeACachesWordAreForgotten) {
  const auto keys = build_honestly();
  database_->prepare("INSERT INTO aliases VALUES(?, ?)").bind(d("alias")).bind(keys[0]).run();
  add_record(d("claimed"), d("op"), {kBase}, {}, "local:/cache:latest");
  add_blob(kBase, blob_of("evil blob"));
  const auto state = migrate();
  EXPECT_THAT(digests(*state, "SELECT digest FROM layer_blobs"), ElementsAre(base_blob_.digest));
  EXPECT_THAT(digests(*state, "SELECT key FROM aliases"), IsEmpty());
  // What the image is made of is known as before.
  EXPECT_EQ(state->layers().add_image("base", {base_}, {base_blob_}), LayerStack{kBase});
}

TEST_F(StateMigrationsTest, MountsThatACacheMayHaveFilledAreEmptiedUnlessTheyAreInUse) {
  add_record(d("claimed"), d("op"), {kBase}, {}, "local:/cache:latest");
  add_mount();
  sys::make_dirs(root_ + "/cache-mounts/used/fs/dir");
  const UniqueFd lock = sys::open(root_ + "/cache-mounts/used.lock", O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  migrate();
  EXPECT_FALSE(sys::lstatat(AT_FDCWD, root_ + "/cache-mounts/abc/fs"));
  EXPECT_TRUE(sys::lstatat(AT_FDCWD, root_ + "/cache-mounts/used/fs/dir"));
}

TEST_F(StateMigrationsTest, RecordsOfTheDaysBeforeSharedCachesStay) {
  const auto keys = build_honestly();
  database_->execute("ALTER TABLE records DROP COLUMN origin; PRAGMA user_version = 1");
  const auto state = migrate();
  EXPECT_THAT(digests(*state, "SELECT key FROM records WHERE origin = ''"),
              testing::UnorderedElementsAreArray(keys));
}

TEST_F(StateMigrationsTest, LayersWhoseFilesMayBeLinksAreRemembered) {
  build_honestly();
  database_->execute("UPDATE layers SET has_directory = 1");
  const auto state = migrate();
  EXPECT_GT(number(*state, "SELECT count(*) FROM shared_layers"), 0);
  EXPECT_EQ(number(*state,
                   "SELECT count(*) FROM layers LEFT JOIN shared_layers ON layer = id "
                   "WHERE (has_directory = 1 AND of_image = 0) <> (layer IS NOT NULL)"),
            0);
}

TEST_F(StateMigrationsTest, AStateWithoutRecordsIsFine) {
  database_->execute("DROP TABLE records; DROP TABLE aliases; DROP TABLE layer_use");
  const auto state = migrate();
  EXPECT_EQ(number(*state, "SELECT count(*) FROM layers"), 1);
  EXPECT_EQ(number(*state, "SELECT count(*) FROM layer_use"), 0);
}

TEST_F(StateMigrationsTest, IsDoneOnce) {
  add_record(d("claimed"), d("op"), {kBase}, {}, "local:/cache:latest");
  migrate();
  sys::make_dirs(root_ + "/cache-mounts/abc/fs");
  migrate();
  EXPECT_TRUE(sys::lstatat(AT_FDCWD, root_ + "/cache-mounts/abc/fs"));
}

}  // namespace
}  // namespace lade
