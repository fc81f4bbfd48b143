#include "solver/cache/cache_store.hpp"

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "base/wire.hpp"

namespace lade {
namespace {

constexpr std::string_view kSchema = R"(
CREATE TABLE IF NOT EXISTS records(
  key BLOB PRIMARY KEY, op BLOB NOT NULL, created_at INTEGER NOT NULL, layers BLOB NOT NULL,
  inputs BLOB NOT NULL, components BLOB NOT NULL, origin TEXT NOT NULL DEFAULT '',
  claims BLOB) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_by_op ON records(op, created_at);
CREATE TABLE IF NOT EXISTS aliases(key BLOB PRIMARY KEY, target BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS aliases_by_target ON aliases(target);
)";

constexpr std::string_view kColumns =
    "key, op, created_at, layers, inputs, components, origin, claims";

/// More layers than a stack has.
constexpr int64_t kMaxLayers = 1'000'000;

/// Each step's record names all the layers below it, most of which were made one after the other:
/// after an id, -N stands for the N ids that follow it.
void encode_layers(WireWriter& writer, const std::vector<int64_t>& layers) {
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (i == 0 || layers[i] != layers[i - 1] + 1) {
      numbers.push_back(layers[i]);
    } else if (numbers.back() < 0) {
      --numbers.back();
    } else {
      numbers.push_back(-1);
    }
  }
  writer.list(numbers, [](WireWriter& each, int64_t number) { each.number(number); });
}

std::vector<int64_t> decode_layers(WireReader& reader) {
  std::vector<int64_t> layers;
  for (size_t left = reader.count(); left > 0; --left) {
    const auto number = reader.number<int64_t>();
    if (number >= 0) {
      layers.push_back(number);
      continue;
    }
    if (layers.empty() || number < -kMaxLayers || std::ssize(layers) - number > kMaxLayers) {
      throw Error("a record of the cache is damaged", ErrorKind::corrupt);
    }
    const int64_t first = layers.back() + 1;
    for (int64_t id = first; id < first - number; ++id) layers.push_back(id);
  }
  return layers;
}

CacheRecord read_record(const Statement& row) {
  CacheRecord record;
  record.key = row.digest(0);
  record.op = row.digest(1);
  record.created_at = row.integer(2);
  const std::string layers = row.blob(3);
  WireReader layer_reader(layers);
  record.layers = decode_layers(layer_reader);
  const std::string inputs = row.blob(4);
  WireReader input_reader(inputs);
  for (size_t left = input_reader.count(); left > 0; --left) {
    RecordInput input;
    input.layers = decode_layers(input_reader);
    input.selection = input_reader.digest();
    record.inputs.push_back(std::move(input));
  }
  const std::string components = row.blob(5);
  WireReader component_reader(components);
  for (size_t left = component_reader.count(); left > 0; --left) {
    std::string name(component_reader.text());
    record.components.emplace_back(std::move(name), component_reader.text());
  }
  record.origin = row.text(6);
  const std::string claims = row.blob(7);
  WireReader claim_reader(claims);
  while (!claim_reader.at_end()) record.claims.push_back(claim_reader.digest());
  return record;
}

/// nullopt for a damaged one, which is none: its step runs again, and puts another in its place.
std::optional<CacheRecord> try_read_record(const Statement& row) {
  try {
    return read_record(row);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
    return std::nullopt;
  }
}

/// What made it, in a few words, from the parts of its key (op_components).
std::string described(const CacheRecord& record) {
  for (const auto& [name, value] : record.components) {
    if (name == "platform") continue;
    if (name == "source") return value;
    if (name != "command") return name;
    std::string words;
    WireReader reader(value);
    for (size_t left = reader.count(); left > 0; --left) {
      words.append(words.empty() ? "" : " ").append(reader.text());
    }
    return words;
  }
  return {};
}

}  // namespace

CacheStore::CacheStore(Database& database) : database_(database) {
  // Asking costs less than the idempotent statements, and this is on every cached build's way.
  // Tables of older versions are snapshotter/state_migrations.hpp's.
  const auto lock = database_.lock();
  if (database_.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'records'").step()) return;
  database_.transaction([&] { database_.execute(std::string(kSchema)); });
}

std::optional<CacheRecord> CacheStore::find(const Digest& key) {
  const auto lock = database_.lock();
  auto query = database_.prepare("SELECT " + std::string(kColumns) +
                                 " FROM records WHERE key = coalesce("
                                 "(SELECT target FROM aliases WHERE key = ?), ?)");
  query.bind(key).bind(key);
  if (!query.step()) return std::nullopt;
  return try_read_record(query);
}

std::optional<CacheRecord> CacheStore::find_itself(const Digest& key) {
  const auto lock = database_.lock();
  auto query = database_.prepare("SELECT " + std::string(kColumns) + " FROM records WHERE key = ?");
  query.bind(key);
  if (!query.step()) return std::nullopt;
  return try_read_record(query);
}

std::vector<CacheRecord> CacheStore::with_op(const Digest& op, int limit) {
  const auto lock = database_.lock();
  auto query = database_.prepare("SELECT " + std::string(kColumns) +
                                 " FROM records WHERE op = ? AND claims IS NULL "
                                 "ORDER BY created_at DESC LIMIT ?");
  query.bind(op).bind(static_cast<int64_t>(limit));
  std::vector<CacheRecord> records;
  while (query.step()) {
    if (auto record = try_read_record(query)) records.push_back(std::move(*record));
  }
  return records;
}

void CacheStore::put(const CacheRecord& record) {
  WireWriter layers;
  encode_layers(layers, record.layers);
  const std::string inputs = WireWriter()
                                 .list(record.inputs,
                                       [](WireWriter& w, const RecordInput& input) {
                                         encode_layers(w, input.layers);
                                         w.digest(input.selection);
                                       })
                                 .take();
  const std::string components =
      WireWriter()
          .list(record.components,
                [](WireWriter& w, const auto& part) { w.text(part.first).text(part.second); })
          .take();
  database_.transaction([&] {
    auto insert = database_.prepare("INSERT OR REPLACE INTO records(" + std::string(kColumns) +
                                    ") VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
    insert.bind(record.key).bind(record.op).bind(record.created_at);
    insert.bind_blob(layers.str()).bind_blob(inputs).bind_blob(components);
    insert.bind(record.origin);
    if (record.claims.empty()) {
      insert.bind_null();
    } else {
      WireWriter claims;
      for (const Digest& claim : record.claims) claims.digest(claim);
      insert.bind_blob(claims.str());
    }
    insert.run();
    database_.prepare("DELETE FROM aliases WHERE key = ?").bind(record.key).run();
  });
}

void CacheStore::alias(const Digest& key, const Digest& target) {
  if (key == target) return;
  database_.transaction([&] {
    database_.prepare("INSERT OR REPLACE INTO aliases(key, target) VALUES(?, ?)")
        .bind(key)
        .bind(target)
        .run();
  });
}

void CacheStore::remove(const Digest& key) {
  database_.transaction([&] {
    database_.prepare("DELETE FROM records WHERE key = ?").bind(key).run();
    database_.prepare("DELETE FROM aliases WHERE target = ?").bind(key).run();
  });
}

void CacheStore::remove_with_layer(int64_t layer) {
  const auto has = [&](const std::vector<int64_t>& layers) {
    return std::find(layers.begin(), layers.end(), layer) != layers.end();
  };
  database_.transaction([&] {
    for (const CacheRecord& record : all()) {
      if (has(record.layers)) remove(record.key);
    }
  });
}

void CacheStore::forget_contents(const std::vector<int64_t>& layers) {
  const std::set<int64_t> wrong(layers.begin(), layers.end());
  const auto has_wrong = [&](const std::vector<int64_t>& stack) {
    return std::any_of(stack.begin(), stack.end(), [&](int64_t id) { return wrong.contains(id); });
  };
  database_.transaction([&] {
    for (const CacheRecord& record : all()) {
      const bool founded_on =
          has_wrong(record.layers) ||
          std::any_of(record.inputs.begin(), record.inputs.end(),
                      [&](const RecordInput& input) { return has_wrong(input.layers); });
      if (founded_on) remove(record.key);
    }
    database_.execute("DELETE FROM aliases");
  });
}

std::vector<CacheRecord> CacheStore::all() {
  const auto lock = database_.lock();
  auto query = database_.prepare("SELECT " + std::string(kColumns) + " FROM records");
  std::vector<CacheRecord> records;
  while (query.step()) {
    if (auto record = try_read_record(query)) records.push_back(std::move(*record));
  }
  return records;
}

std::vector<GcRecord> CollectedRecords::list() {
  std::vector<GcRecord> out;
  for (auto& record : store_.all()) {
    GcRecord one{record.key, std::move(record.layers), record.created_at, {}};
    one.description = described(record);
    out.push_back(std::move(one));
  }
  return out;
}

void CollectedRecords::forget_contents(const std::vector<LayerId>& layers) {
  store_.forget_contents(layers);
}

void CollectedRecords::remove(const std::vector<Digest>& keys) {
  for (const auto& key : keys) store_.remove(key);
}

}  // namespace lade
