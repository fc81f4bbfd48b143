// LayerStore: layers that are known by the word of a cache only.

#include "base/wire.hpp"
#include "snapshotter/layers/layer_store.hpp"
#include "snapshotter/layers/layer_store_state.hpp"

namespace lade {

Digest LayerClaim::digest() const {
  return Digest::of(WireWriter()
                        .text("lade layer claim 1")
                        .digest(below)
                        .digest(diff_id.digest)
                        .digest(content)
                        .text(blob.media_type)
                        .digest(blob.digest)
                        .number(blob.size)
                        .str());
}

LayerId LayerStore::add_claimed(const LayerClaim& claim) {
  if (!find_claimed(claim.digest())) {
    if (const auto made = find_made(claim); made && exists({*made})) return *made;
  }
  for (;;) {
    const LayerId layer = add_or_find(claim);
    // One that was there may have been removed before it was pinned.
    if (exists({layer})) return layer;
  }
}

std::optional<LayerId> LayerStore::find_claimed(const Digest& claim) const {
  auto row = state_->database.prepare("SELECT id FROM layers WHERE claim = ?");
  return row.bind(claim).step() ? std::optional(row.integer(0)) : std::nullopt;
}

/// A layer that was made here, and the blob, too: that both go together is not a claim.
std::optional<LayerId> LayerStore::find_made(const LayerClaim& claim) const {
  auto row = state_->database.prepare(
      "SELECT id FROM layers WHERE diff_id = ? AND of_image = 0 AND has_directory = 1 "
      "AND coalesce(content_digest, ?) = ? AND EXISTS(SELECT 1 FROM layer_blobs "
      "WHERE layer = id AND digest = ? AND encoding <> 'as-pulled') ORDER BY id LIMIT 1");
  row.bind(claim.diff_id.digest).bind(claim.content).bind(claim.content).bind(claim.blob.digest);
  return row.step() ? std::optional(row.integer(0)) : std::nullopt;
}

LayerId LayerStore::add_or_find(const LayerClaim& claim) {
  const Digest digest = claim.digest();
  if (const auto known = find_claimed(digest)) return *known;
  LayerId id = 0;
  state_->database.transaction([&] {
    if (const auto known = find_claimed(digest)) {
      id = *known;
      return;
    }
    state_->database
        .prepare(
            "INSERT INTO layers(diff_id, claim, claimed_content, has_directory, of_image, "
            "boot_id, durable) VALUES(?, ?, ?, 0, 1, ?, 1)")
        .bind(claim.diff_id.digest)
        .bind(digest)
        .bind(claim.content)
        .bind(state_->boot_id)
        .run();
    id = state_->database.last_id();
    record_blob(id, {"as-pulled", claim.blob});
  });
  return id;
}

std::optional<Digest> LayerStore::claim_of(LayerId layer) const {
  {
    const std::lock_guard lock(state_->mutex);
    const auto known = state_->claims.find(layer);
    if (known != state_->claims.end()) return known->second;
  }
  auto row = state_->database.prepare("SELECT claim FROM layers WHERE id = ?");
  if (!row.bind(layer).step() || row.is_null(0)) return std::nullopt;
  return row.digest(0);
}

bool LayerStore::knows_content(LayerId layer) const {
  auto row = state_->database.prepare(
      "SELECT claim IS NULL OR content_digest IS NOT NULL FROM layers WHERE id = ?");
  return row.bind(layer).step() && row.integer(0) != 0;
}

std::vector<Digest> LayerStore::false_claims() const {
  std::vector<Digest> out;
  auto row = state_->database.prepare(
      "SELECT claim FROM layers WHERE claim IS NOT NULL AND claim_holds = 0");
  while (row.step()) out.push_back(row.digest(0));
  return out;
}

void LayerStore::record_claim(LayerId layer, bool holds) {
  state_->database.prepare("UPDATE layers SET claim_holds = ? WHERE id = ?")
      .bind(int64_t{holds})
      .bind(layer)
      .run();
}

Digest image_layer_content(const DiffId& diff_id) {
  return Digest::of(WireWriter().text("diff-id").digest(diff_id.digest).str());
}

}  // namespace lade
