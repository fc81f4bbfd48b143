// Version 3 of the state directory's database.
//
// Until then a cache's word of a layer's content went into the layer's row, where every build
// believed it, and a step that ran on a layer of a cache left a record that any build could take.
// What a cache wrote is told by its rows: records with an origin, and layers whose blobs were known
// beforehand but whose content digest is not an image's. If there is neither, no cache has been
// read, and everything stays. Otherwise a record stays if its key proves where it comes from: keys
// are made of those of the inputs, down to sources. One that is founded on a cache's word has the
// key of a cache's record in its own, or one of a step whose result was taken for its content's
// sake.
//
// Formats are those of version 2, whatever they are by now.

#include <map>
#include <set>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/wire.hpp"
#include "snapshotter/content/content_store.hpp"
#include "snapshotter/content/descriptor_row.hpp"
#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/layers/layer_store_state.hpp"
#include "snapshotter/state_migrations.hpp"

namespace lade {
namespace {

constexpr int64_t kMostLayers = 1'000'000;
constexpr uint32_t kMostOutputs = 8;
constexpr int kMostCombinations = 1000;

struct OldInput {
  LayerStack layers;
  Digest selection;
  auto operator<=>(const OldInput&) const = default;
};

struct OldRecord {
  Digest key;
  Digest op;
  LayerStack layers;
  std::vector<OldInput> inputs;
  std::string origin;
  bool proven = false;
};

struct OldLayer {
  std::optional<DiffId> diff_id;
  std::optional<Digest> content;
  bool of_image = false;
  /// A cache has made the row: an image's content is the name of its diff ID.
  bool of_cache() const {
    return of_image && diff_id && content && *content != image_layer_content(*diff_id);
  }
};

LayerStack read_stack(WireReader& reader) {
  LayerStack layers;
  for (size_t left = reader.count(); left > 0; --left) {
    const auto number = reader.number<int64_t>();
    if (number >= 0) {
      layers.push_back(number);
      continue;
    }
    if (layers.empty() || number < -kMostLayers || std::ssize(layers) - number > kMostLayers) {
      throw Error("a record of the cache is damaged", ErrorKind::corrupt);
    }
    const int64_t first = layers.back() + 1;
    for (int64_t id = first; id < first - number; ++id) layers.push_back(id);
  }
  return layers;
}

Digest output_key(const Digest& key, uint32_t number) {
  return Digest::of(WireWriter().text("lade output").digest(key).number(number).str());
}

class Forgetting {
 public:
  Forgetting(std::string root, Database& database) : root_(std::move(root)), database_(database) {}

  void run() {
    add_columns();
    read_layers();
    read_records();
    if (!has_read_a_cache()) return;
    prove_records();
    drop_records();
    drop_layers();
    drop_blobs();
    drop_mounts();
  }

 private:
  bool exists(std::string_view query) { return database_.prepare(query).step(); }

  void add_columns() {
    database_.execute(
        "ALTER TABLE layers ADD COLUMN claim BLOB;"
        "ALTER TABLE layers ADD COLUMN claimed_content BLOB;"
        "ALTER TABLE layers ADD COLUMN claim_holds INTEGER");
    has_records_ = exists("SELECT 1 FROM sqlite_schema WHERE name = 'records'");
    if (!has_records_) return;
    // Tables of the days before shared caches have none.
    if (!exists("SELECT 1 FROM pragma_table_info('records') WHERE name = 'origin'")) {
      database_.execute("ALTER TABLE records ADD COLUMN origin TEXT NOT NULL DEFAULT ''");
    }
    database_.execute("ALTER TABLE records ADD COLUMN claims BLOB");
  }

  void read_layers() {
    auto row = database_.prepare("SELECT id, diff_id, content_digest, of_image FROM layers");
    while (row.step()) {
      OldLayer& layer = layers_[row.integer(0)];
      if (!row.is_null(1)) layer.diff_id = DiffId{row.digest(1)};
      if (!row.is_null(2)) layer.content = row.digest(2);
      layer.of_image = row.integer(3) != 0;
    }
  }

  void read_records() {
    if (!has_records_) return;
    auto row = database_.prepare("SELECT key, op, layers, inputs, origin FROM records");
    while (row.step()) {
      OldRecord record;
      record.key = row.digest(0);
      record.op = row.digest(1);
      const std::string layers = row.blob(2);
      const std::string inputs = row.blob(3);
      WireReader layer_reader(layers);
      record.layers = read_stack(layer_reader);
      WireReader reader(inputs);
      for (size_t left = reader.count(); left > 0; --left) {
        OldInput input;
        input.layers = read_stack(reader);
        input.selection = reader.digest();
        record.inputs.push_back(std::move(input));
      }
      record.origin = row.text(4);
      records_.push_back(std::move(record));
    }
  }

  bool has_read_a_cache() const {
    return std::any_of(records_.begin(), records_.end(),
                       [](const OldRecord& record) { return !record.origin.empty(); }) ||
           std::any_of(layers_.begin(), layers_.end(),
                       [](const auto& layer) { return layer.second.of_cache(); });
  }

  bool stands_on_cache(const LayerStack& stack) const {
    return std::any_of(stack.begin(), stack.end(), [&](LayerId id) {
      const auto layer = layers_.find(id);
      return layer == layers_.end() || layer->second.of_cache();
    });
  }

  /// Keys of what may have given the stack: images, results of builds, proven records.
  const std::set<Digest>& givers(const LayerStack& stack) {
    const auto [at, is_new] = givers_.try_emplace(stack);
    if (!is_new) return at->second;
    if (stack.empty()) {
      at->second.insert(Digest::of(WireWriter().text("lade scratch").str()));
      return at->second;
    }
    ChainId chain;
    WireWriter contents;
    contents.text("lade result");
    bool is_image = true;
    bool has_contents = true;
    for (const LayerId id : stack) {
      const auto found = layers_.find(id);
      const OldLayer layer = found == layers_.end() ? OldLayer() : found->second;
      is_image = is_image && layer.diff_id;
      has_contents = has_contents && layer.content;
      if (is_image) chain = chain_id(chain, *layer.diff_id);
      if (has_contents) contents.digest(*layer.content);
    }
    const auto image_key = [](const Digest& chain_digest) {
      return Digest::of(WireWriter().text("lade image").text(chain_digest.str()).str());
    };
    if (is_image) at->second.insert(image_key(chain.digest));
    if (has_contents) at->second.insert(image_key(Digest::of(contents.str())));
    return at->second;
  }

  /// Whether the record's key is made of keys of givers of its inputs; the first `done` of which
  /// `writer` has.
  bool has_key_of(const OldRecord& record, size_t done, const WireWriter& writer,
                  const Digest* local, int& left) {
    if (--left < 0) return false;
    if (done == record.inputs.size()) {
      WireWriter whole = writer;
      if (local) whole.text("local").digest(*local);
      return Digest::of(whole.str()) == record.key;
    }
    const OldInput& input = record.inputs[done];
    for (const Digest& giver : givers(input.layers)) {
      WireWriter next = writer;
      next.number(done).digest(giver);
      if (has_key_of(record, done + 1, next, local, left)) return true;
    }
    // A directory of the user's is in the key by what was selected of it.
    return input.layers.empty() && !input.selection.empty() &&
           has_key_of(record, done + 1, writer, &input.selection, left);
  }

  bool is_proven(const OldRecord& record) {
    if (!record.origin.empty() || stands_on_cache(record.layers)) return false;
    for (const OldInput& input : record.inputs) {
      if (stands_on_cache(input.layers)) return false;
    }
    // What was fetched here from elsewhere: its key is of its content.
    if (record.inputs.empty()) return true;
    const auto first = first_outputs_.find(record.key);
    if (first != first_outputs_.end()) return first->second == record.inputs;
    int left = kMostCombinations;
    WireWriter writer;
    writer.text("lade key 1").digest(record.op);
    return has_key_of(record, 0, writer, nullptr, left);
  }

  void prove_records() {
    for (bool more = true; more;) {
      more = false;
      for (OldRecord& record : records_) {
        if (record.proven || !is_proven(record)) continue;
        record.proven = more = true;
        givers(record.layers);
        givers_[record.layers].insert(record.key);
        for (uint32_t output = 1; output <= kMostOutputs; ++output) {
          first_outputs_[output_key(record.key, output)] = record.inputs;
        }
      }
    }
  }

  void drop_records() {
    if (!has_records_) return;
    for (const OldRecord& record : records_) {
      if (record.proven) continue;
      database_.prepare("DELETE FROM records WHERE key = ?").bind(record.key).run();
    }
    // Whether contents were the same may have been a cache's word.
    database_.execute("DELETE FROM aliases");
  }

  void drop_layers() {
    for (const auto& [id, layer] : layers_) {
      if (layer.of_cache()) {
        database_.prepare("DELETE FROM layers WHERE id = ?").bind(id).run();
      }
    }
  }

  /// A cache's word that a blob holds an image's layer: if no image here says so, too.
  void drop_blobs() {
    const auto content = ContentStore::open(root_);
    std::set<std::pair<Digest, Digest>> known;
    // The tables are those of that version: ImageStore knows today's alone.
    auto named =
        database_.prepare("SELECT descriptor FROM images UNION SELECT descriptor FROM resolutions");
    while (named.step()) {
      for (const auto& one :
           read_stored_image(*content, parse_descriptor(named.text(0))).manifests) {
        const auto& layers = one.manifest.layers;
        for (size_t i = 0; i < layers.size() && i < one.config.diff_ids.size(); ++i) {
          known.emplace(one.config.diff_ids[i].digest, layers[i].digest);
        }
      }
    }
    std::vector<std::pair<LayerId, Digest>> unknown;
    {
      auto row = database_.prepare(
          "SELECT layer, diff_id, digest FROM layer_blobs JOIN layers ON id = layer "
          "WHERE of_image = 1 AND encoding = 'as-pulled' AND diff_id IS NOT NULL");
      while (row.step()) {
        if (!known.contains({row.digest(1), row.digest(2)})) {
          unknown.emplace_back(row.integer(0), row.digest(2));
        }
      }
    }
    for (const auto& [layer, digest] : unknown) {
      database_.prepare("DELETE FROM layer_blobs WHERE layer = ? AND digest = ?")
          .bind(layer)
          .bind(digest)
          .run();
    }
  }

  /// Nothing says which of them a cache has filled. Those that are in use now stay.
  void drop_mounts() {
    const auto dir = sys::try_openat(AT_FDCWD, root_ + "/cache-mounts", O_RDONLY | O_DIRECTORY);
    if (!dir) return;
    sys::make_dirs(root_ + "/tmp", 0700);
    for (const auto& name : sys::list_dir(dir->get())) {
      const auto info = sys::lstatat(dir->get(), name + "/fs");
      if (!info || !S_ISDIR(info->st_mode)) continue;
      const UniqueFd lock = sys::openat(dir->get(), name + ".lock", O_RDWR | O_CREAT, 0600);
      if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
      // Swept from there.
      sys::renameat(dir->get(), name + "/fs", AT_FDCWD,
                    root_ + "/tmp/layer-migrated-" + sys::random_hex(6));
    }
  }

  const std::string root_;
  Database& database_;
  bool has_records_ = false;
  std::map<LayerId, OldLayer> layers_;
  std::vector<OldRecord> records_;
  std::map<LayerStack, std::set<Digest>> givers_;
  std::map<Digest, std::vector<OldInput>> first_outputs_;  // keys of further outputs: their inputs
};

}  // namespace

void forget_words_of_caches(const std::string& root, Database& database) {
  Forgetting(root, database).run();
}

}  // namespace lade
