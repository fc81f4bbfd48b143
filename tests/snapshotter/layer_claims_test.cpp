// What caches say of layers: kept apart, believed by nobody else, compared with the bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "layer_store_fixture.hpp"
#include "snapshotter/layers/layer.hpp"
#include "snapshotter/tree/layer_index.hpp"
#include "tar_fixture.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using namespace testing_layers;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class LayerClaimsTest : public LayerStoreTest {
 protected:
  /// What is true of a layer with these entries, which a step made elsewhere.
  LayerClaim truth(const std::vector<Entry>& entries) {
    LayerClaim claim;
    claim.blob = remote(entries, &claim.diff_id);
    claim.content = store_->content_digest(commit(entries));
    return claim;
  }

  /// The blob of a tar that was made by hand.
  Descriptor serve(const std::string& tar) {
    Descriptor blob;
    blob.media_type = media_type::kOciLayer;
    blob.digest = Digest::of(tar);
    blob.size = tar.size();
    provider_.blobs[blob.digest] = tar;
    return blob;
  }

  /// The claim is found false when the layer is unpacked.
  void expect_false(const LayerClaim& claim, const std::string& why) {
    const LayerId id = store_->add_claimed(claim);
    try {
      store_->ensure_directory(id, provider_);
      ADD_FAILURE() << "no error";
    } catch (const FalseClaim& error) {
      EXPECT_THAT(error.message(), HasSubstr(why));
      EXPECT_TRUE(LostLayer(id, error).was_false());
    }
    EXPECT_FALSE(store_->has_directory(id));
    EXPECT_EQ(store_->info(id)->claim_holds, false);
    EXPECT_THAT(store_->false_claims(), Contains(claim.digest()));
  }
};

TEST_F(LayerClaimsTest, EachClaimIsALayerOfItsOwn) {
  const LayerClaim claim = truth({file("f", 5)});
  const LayerId id = store_->add_claimed(claim);
  EXPECT_EQ(store_->add_claimed(claim), id);
  EXPECT_EQ(store_->claim_of(id), claim.digest());
  LayerClaim content = claim;
  content.content = Digest::of("other");
  LayerClaim blob = claim;
  blob.blob = remote({file("g", 5)});
  LayerClaim below = claim;
  below.below = Digest::of("other");
  LayerClaim diff_id = claim;
  diff_id.diff_id.digest = Digest::of("other");
  for (const LayerClaim& other : {content, blob, below, diff_id}) {
    EXPECT_NE(store_->add_claimed(other), id);
  }
  reopen();
  EXPECT_EQ(store_->add_claimed(claim), id);
  EXPECT_EQ(store_->claim_of(id), claim.digest());
}

TEST_F(LayerClaimsTest, AnImagesLayerIsWhatItIsWhateverWasClaimed) {
  DiffId diff_id;
  const Descriptor blob = remote({file("f", 5)}, &diff_id);
  const LayerId claimed =
      store_->add_claimed({diff_id, Digest::of("a lie"), remote({file("evil", 6)}), {}});
  EXPECT_FALSE(store_->find(diff_id));
  const LayerId image = store_->add_known(diff_id, blob);
  EXPECT_NE(image, claimed);
  EXPECT_EQ(store_->find(diff_id), image);
  EXPECT_FALSE(store_->claim_of(image));
  EXPECT_TRUE(store_->knows_content(image));
  EXPECT_NE(store_->content_digest(image), Digest::of("a lie"));
  ASSERT_EQ(store_->info(image)->blobs.size(), 1U);
  EXPECT_EQ(store_->info(image)->blobs[0].descriptor, blob);
  store_->ensure_directory(image, provider_);
  EXPECT_EQ(read({image}, "f"), content_of(file("f", 5)));
  EXPECT_EQ(store_->add_claimed({diff_id, Digest::of("a lie"), remote({file("evil", 6)}), {}}),
            claimed);
}

TEST_F(LayerClaimsTest, AnotherImagesWordForADiffIdIsAnotherLayer) {
  DiffId diff_id;
  const Descriptor blob = remote({file("f", 5)}, &diff_id);
  const Descriptor evil = remote({file("evil", 6)});
  const LayerId liar = store_->add_known(diff_id, evil);
  const LayerId honest = store_->add_known(diff_id, blob);
  EXPECT_NE(liar, honest);
  EXPECT_EQ(store_->add_known(diff_id, blob), honest);
  EXPECT_THROW(store_->ensure_directory(liar, provider_), Error);
  store_->ensure_directory(honest, provider_);
  EXPECT_EQ(read({honest}, "f"), content_of(file("f", 5)));
}

TEST_F(LayerClaimsTest, AClaimIsBelievedUntilTheLayerIsUnpacked) {
  const LayerClaim claim = truth({dir("d"), file("d/f", 5)});
  const LayerId id = store_->add_claimed(claim);
  EXPECT_EQ(store_->content_digest(id), claim.content);
  EXPECT_FALSE(store_->knows_content(id));
  EXPECT_EQ(provider_.opened, 0);
  store_->ensure_directory(id, provider_);
  EXPECT_TRUE(store_->knows_content(id));
  EXPECT_EQ(store_->content_digest(id), claim.content);
  EXPECT_EQ(store_->info(id)->claim_holds, true);
  EXPECT_THAT(store_->false_claims(), IsEmpty());
  EXPECT_EQ(read({id}, "d/f"), content_of(file("d/f", 5)));
}

TEST_F(LayerClaimsTest, AllKindsOfEntriesHaveTheSameContentElsewhere) {
  Entry a = file("a", 5);
  Entry b = file("b", 7);
  Entry c = b;
  Entry d = a;
  c.path = "c";
  d.path = "d";
  a.hardlink_group = d.hardlink_group = 1;
  b.hardlink_group = c.hardlink_group = 2;
  Entry fifo = file("pipe");
  fifo.type = EntryType::fifo;
  Entry device = file("null");
  device.type = EntryType::char_device;
  device.dev_major = 1;
  device.dev_minor = 3;
  Entry owned = file("owned", 3);
  owned.uid = 7;
  owned.gid = 8;
  owned.mode = 04755;
  owned.xattrs = {{"user.k", "v"}};
  PendingLayer pending = store_->prepare();
  const std::vector<Entry> others = {device, opaque("o"),    file("o/f", 2), whiteout("gone"),
                                     fifo,   link("l", "a"), owned,          dir("odd dir", 02711)};
  std::vector<Entry> entries = others;
  entries.insert(entries.end(), {a, b, c, d});
  std::vector<Entry> files = others;
  files.insert(files.end(), {a, b});
  write_tree(pending.path(), files);
  ASSERT_EQ(::link((pending.path() + "/a").c_str(), (pending.path() + "/d").c_str()), 0);
  ASSERT_EQ(::link((pending.path() + "/b").c_str(), (pending.path() + "/c").c_str()), 0);
  LayerClaim claim;
  // A hard link's bytes are those of its first name.
  std::vector<Entry> packed = entries;
  claim.blob = remote(packed, &claim.diff_id);
  const LayerId made = store_->commit(std::move(pending), LayerIndex(entries));
  claim.content = store_->content_digest(made);
  const LayerId id = store_->add_claimed(claim);
  store_->ensure_directory(id, provider_);
  EXPECT_EQ(store_->info(id)->claim_holds, true);
  EXPECT_EQ(store_->info(id)->content_digest, claim.content);
}

TEST_F(LayerClaimsTest, AnXattrThatHasNoRoomHereIsNoLie) {
  // Linux has no user.* on symlinks.
  const std::string tar = pax({{"SCHILY.xattr.user.k", "v"}}) + member("l", '2', "", "target") +
                          member("f", '0', "x") + kEnd;
  Entry said = link("l", "target");
  said.uid = said.gid = 0;
  said.xattrs = {{"user.k", "v"}};
  Entry plain = file("f", 1);
  plain.content = Digest::of("x");
  plain.uid = plain.gid = 0;
  const LayerIndex as_packed({said, plain});
  const LayerClaim claim{DiffId{Digest::of(tar)}, as_packed.content_digest(), serve(tar), {}};
  const LayerId id = store_->add_claimed(claim);
  store_->ensure_directory(id, provider_);
  EXPECT_EQ(store_->info(id)->claim_holds, true);
  // What steps see is what is here.
  EXPECT_NE(store_->content_digest(id), claim.content);
  EXPECT_THAT(store_->index(id)->find("l")->xattrs, IsEmpty());
}

TEST_F(LayerClaimsTest, AFalseContentIsFoundWhenTheLayerIsUnpacked) {
  LayerClaim claim = truth({file("f", 5)});
  claim.content = Digest::of("a lie");
  expect_false(claim, "its files have the content digest");
  // And is known from then on.
  reopen();
  provider_.opened = 0;
  expect_false(claim, "was found not to be what was said of it");
  EXPECT_EQ(provider_.opened, 0);
  EXPECT_TRUE(content_->has(claim.blob.digest));
}

TEST_F(LayerClaimsTest, AFalseDiffIdIsFoundWhenTheLayerIsUnpacked) {
  LayerClaim claim = truth({file("f", 5)});
  claim.diff_id.digest = Digest::of("a lie");
  expect_false(claim, "diff ID");
  // Likewise if its blob is here.
  claim.below = Digest::of("elsewhere");
  provider_.opened = 0;
  expect_false(claim, "diff ID");
  EXPECT_EQ(provider_.opened, 0);
}

TEST_F(LayerClaimsTest, AFalseDiffIdIsFoundWhenOnlyTheBlobIsWanted) {
  LayerClaim claim = truth({file("f", 5)});
  const LayerId honest = store_->add_claimed(claim);
  claim.diff_id.digest = Digest::of("a lie");
  const LayerId fetched = store_->add_claimed(claim);
  EXPECT_THROW(store_->ensure_layer_blob(fetched, claim.blob, provider_), FalseClaim);
  claim.below = Digest::of("elsewhere");
  const LayerId here = store_->add_claimed(claim);
  EXPECT_THROW(store_->ensure_layer_blob(here, claim.blob, provider_), FalseClaim);
  EXPECT_EQ(provider_.opened, 1);
  store_->ensure_layer_blob(honest, claim.blob, provider_);
  EXPECT_EQ(store_->info(honest)->claim_holds, true);
  EXPECT_FALSE(store_->knows_content(honest));
}

TEST_F(LayerClaimsTest, AnImagesBlobMustHaveTheLayersDiffId) {
  const Descriptor blob = remote({file("f", 5)});
  const LayerId id = store_->add_known(DiffId{Digest::of("other")}, blob);
  EXPECT_THAT(error_of([&] { store_->ensure_layer_blob(id, blob, provider_); }),
              HasSubstr("diff ID"));
}

TEST_F(LayerClaimsTest, BlobsOfOthersStayWhateverIsClaimedOfThem) {
  const std::string text = R"({"this": "is an image's config"})";
  const Digest config = content_->put(text, "text").digest;
  LayerClaim claim = truth({file("f", 5)});
  claim.blob.digest = config;
  claim.blob.size = text.size();
  expect_false(claim, "layer " + config.str());
  EXPECT_TRUE(content_->has(config));
  // A false size does not make it a damaged one.
  claim = truth({file("g", 600)});
  store_->ensure_blob(claim.blob, provider_);
  claim.blob.size -= 1;
  expect_false(claim, "more than");
  EXPECT_TRUE(content_->has(claim.blob.digest));
  claim.blob.size += 5;
  expect_false(claim, "digest");
  EXPECT_TRUE(content_->has(claim.blob.digest));
}

TEST_F(LayerClaimsTest, ADamagedBlobIsNoLie) {
  const LayerClaim claim = truth({file("f", 600)});
  store_->ensure_blob(claim.blob, provider_);
  {
    std::string bytes = provider_.blobs[claim.blob.digest];
    bytes[600] ^= 1;
    const UniqueFd fd = sys::open(content_->path(claim.blob.digest), O_WRONLY);
    sys::write_all(fd.get(), bytes);
  }
  const LayerId id = store_->add_claimed(claim);
  store_->ensure_layer_blob(id, claim.blob, provider_);
  EXPECT_EQ(store_->info(id)->claim_holds, true);
  store_->ensure_directory(id, provider_);
  EXPECT_EQ(read({id}, "f"), content_of(file("f", 600)));
  // Nor are bytes that were damaged on their way.
  LayerClaim other = truth({file("g", 600)});
  provider_.blobs[other.blob.digest][600] ^= 1;
  const LayerId lost = store_->add_claimed(other);
  EXPECT_THROW(store_->ensure_directory(lost, provider_), Error);
  EXPECT_FALSE(store_->info(lost)->claim_holds);
}

TEST_F(LayerClaimsTest, WhatWasMadeHereIsTakenForIt) {
  const LayerClaim claim = truth({file("f", 5)});
  const LayerId made = commit({file("f", 5)});
  store_->content_digest(made);
  store_->record_diff_id(made, claim.diff_id);
  store_->record_blob(made, {"uncompressed", claim.blob});
  EXPECT_EQ(store_->add_claimed(claim), made);
  LayerClaim lie = claim;
  lie.content = Digest::of("a lie");
  EXPECT_NE(store_->add_claimed(lie), made);
  EXPECT_TRUE(store_->claim_of(store_->add_claimed(lie)));
  // Its directory is gone: there is the cache's.
  reopen();
  sys::remove_tree(AT_FDCWD, store_->directory(made));
  EXPECT_TRUE(store_->claim_of(store_->add_claimed(claim)));
}

TEST_F(LayerClaimsTest, AnImagesLayerLooksAsInItsImageWhateverItIsMetOn) {
  // Its second layer only implies the directory; a cache puts it on one of its own.
  DiffId base_diff_id;
  const Descriptor base = remote({dir("d", 0700)}, &base_diff_id);
  const std::string tar = member("d/f", '0', "x") + kEnd;
  const LayerStack image =
      store_->add_image("image", {base_diff_id, DiffId{Digest::of(tar)}}, {base, serve(tar)});
  const LayerClaim evil = truth({dir("d", 0777)});
  const LayerId claimed = store_->add_claimed(evil);
  store_->ensure_directory(image[1], provider_, nullptr, LayerStack{claimed});
  EXPECT_EQ(store_->index(image[1])->find("d")->mode, 0700U);
}

TEST_F(LayerClaimsTest, WrongContentDigestsAreFoundAndMended) {
  const LayerId made = commit({file("f", 5)});
  DiffId diff_id;
  const Descriptor blob = remote({file("g", 5)}, &diff_id);
  const LayerId image = store_->add_known(diff_id, blob);
  store_->ensure_directory(image, provider_);
  for (const LayerId id : {made, image}) {
    const Digest right = store_->content_digest(id);
    EXPECT_FALSE(store_->wrong_content(id));
    store_->mend_content(id, Digest::of("wrong"));
    EXPECT_EQ(store_->wrong_content(id), right);
    store_->mend_content(id, right);
    EXPECT_FALSE(store_->wrong_content(id));
  }
}

}  // namespace
}  // namespace lade
