#include "snapshotter/layers/layer_store.hpp"

#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "layer_store_fixture.hpp"
#include "snapshotter/state.hpp"
#include "snapshotter/tree/dir_scan.hpp"
#include "tests/support/in_processes.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace testing_layers;
using namespace std::chrono_literals;

TEST_F(LayerStoreTest, ACommittedLayerHasDirectoryAndIndex) {
  const LayerId id = commit({dir("d"), file("d/f", 5)});
  EXPECT_TRUE(store_->has_directory(id));
  EXPECT_TRUE(store_->exists({id}));
  EXPECT_EQ(read({id}, "d/f"), content_of(file("d/f", 5)));
  EXPECT_TRUE(sys::lstatat(AT_FDCWD, store_->directory(id) + "/d/f"));
  EXPECT_THAT(names_in("tmp"), IsEmpty());
  reopen();
  EXPECT_EQ(read({id}, "d/f"), content_of(file("d/f", 5)));
}

TEST_F(LayerStoreTest, AnAbandonedLayerLeavesNothing) {
  {
    const PendingLayer pending = store_->prepare();
  }
  EXPECT_THAT(names_in("tmp"), IsEmpty());
  EXPECT_THAT(names_in("layers"), ElementsAre("0", "00"));
}

TEST_F(LayerStoreTest, NamesThatLayersNeverGetAreNotLayers) {
  EXPECT_FALSE(store_->exists({77}));
  EXPECT_FALSE(store_->has_directory(77));
  EXPECT_FALSE(store_->info(77));
  EXPECT_THROW(store_->index(77), Error);
  EXPECT_THROW(store_->content_digest(77), Error);
  EXPECT_THROW(store_->ensure_directory(77, provider_), Error);
}

TEST_F(LayerStoreTest, ADirectoryThatIsGoneMakesAStackUnusable) {
  const LayerId id = commit({file("f")});
  reopen();
  sys::remove_tree(AT_FDCWD, store_->directory(id));
  EXPECT_FALSE(store_->exists({id}));
}

TEST_F(LayerStoreTest, AnImagesLayerWhoseDirectoryIsGoneIsUnpackedAgain) {
  DiffId diff_id;
  const Descriptor blob = remote({file("f", 5)}, &diff_id);
  const LayerId id = store_->add_known(diff_id, blob);
  store_->ensure_directory(id, provider_);
  reopen();
  sys::remove_tree(AT_FDCWD, store_->directory(id));
  EXPECT_EQ(store_->add_known(diff_id, blob), id);
  EXPECT_FALSE(store_->has_directory(id));
  store_->ensure_directory(id, provider_);
  EXPECT_EQ(provider_.opened, 1);  // its blob is here
  EXPECT_EQ(read({id}, "f"), content_of(file("f", 5)));
}

TEST_F(LayerStoreTest, ContentDigestsAreOfContent) {
  const LayerId one = commit({file("f", 9)});
  Entry later = file("f", 9);
  later.mtime_sec = 99;
  const LayerId two = commit({later});
  const LayerId other = commit({file("f", 8)});
  EXPECT_FALSE(store_->info(one)->content_digest);
  EXPECT_EQ(store_->content_digest(one), store_->content_digest(two));
  EXPECT_NE(store_->content_digest(one), store_->content_digest(other));
  EXPECT_EQ(store_->info(one)->content_digest, store_->content_digest(two));
}

TEST_F(LayerStoreTest, HashesAreStoredForTheNextTime) {
  Entry a = file("a", 5);
  Entry b = file("b", 5);
  a.hardlink_group = b.hardlink_group = 1;
  PendingLayer pending = store_->prepare();
  const LayerIndex index({a, b, file("c", 200'000)});
  write_tree(pending.path(), {file("a", 5), file("c", 200'000)});
  ASSERT_EQ(::link((pending.path() + "/a").c_str(), (pending.path() + "/b").c_str()), 0);
  const LayerId id = store_->commit(std::move(pending), index);
  EXPECT_FALSE(store_->index(id)->hashed());
  const auto hashed = store_->hashed_index(id);
  EXPECT_EQ(hashed->find("b")->content, Digest::of(content_of(file("a", 5))));
  EXPECT_EQ(hashed->find("c")->content, Digest::of(content_of(file("c", 200'000))));
  reopen();
  EXPECT_TRUE(store_->index(id)->hashed());
}

TEST_F(LayerStoreTest, AFileThatLostItsBytesIsFoundWhenHashing) {
  const LayerId id = commit({file("f", 9)});
  ASSERT_EQ(::truncate((store_->directory(id) + "/f").c_str(), 3), 0);
  EXPECT_THROW(store_->hashed_index(id), Error);
}

TEST_F(LayerStoreTest, ATornOrMissingIndexIsMadeAgainFromTheDirectory) {
  const LayerId id = commit({opaque("d"), file("d/f", 5), whiteout("w"), link("l", "t")});
  const auto entries = store_->index(id)->entries();
  const std::string path = root_ + "/index/" + names_in("index")[0];
  for (const bool torn : {true, false}) {
    if (torn) {
      std::string bytes = *sys::read_file(path);
      std::fill(bytes.begin() + 100, bytes.end(), '\0');
      sys::write_file_atomically(path, bytes);
    } else {
      ASSERT_EQ(::unlink(path.c_str()), 0);
    }
    reopen();
    EXPECT_EQ(store_->index(id)->entries(), entries);
  }
}

TEST_F(LayerStoreTest, AnImagesLayerIsKnownOnceAndFetchedOnce) {
  DiffId diff_id;
  const Descriptor blob = remote({dir("d"), file("d/f", 5)}, &diff_id);
  const LayerId id = store_->add_known(diff_id, blob);
  EXPECT_EQ(store_->add_known(diff_id, blob), id);
  EXPECT_FALSE(store_->has_directory(id));
  EXPECT_TRUE(store_->exists({id}));
  EXPECT_EQ(store_->info(id)->blobs.size(), 1U);
  EXPECT_EQ(store_->info(id)->blobs[0].descriptor, blob);
  EXPECT_EQ(store_->info(id)->diff_id, diff_id);
  // Its content key needs no bytes.
  EXPECT_FALSE(store_->content_digest(id).empty());
  EXPECT_EQ(provider_.opened, 0);

  uint64_t last = 0;
  store_->ensure_directory(id, provider_, [&](uint64_t done, uint64_t total) {
    EXPECT_GT(done, last);
    EXPECT_EQ(total, blob.size);
    last = done;
  });
  EXPECT_EQ(last, blob.size);
  store_->ensure_directory(id, provider_);
  EXPECT_EQ(provider_.opened, 1);
  EXPECT_TRUE(content_->has(blob.digest));
  EXPECT_TRUE(store_->index(id)->hashed());
  EXPECT_EQ(read({id}, "d/f"), content_of(file("d/f", 5)));
}

TEST_F(LayerStoreTest, AnImagesLayersAreAddedInOrderOrNotAtAll) {
  std::vector<DiffId> diff_ids(2);
  const std::vector<Descriptor> blobs = {remote({file("f", 5)}, &diff_ids[0]),
                                         remote({file("g", 5)}, &diff_ids[1])};
  const LayerStack layers = store_->add_image("an image", diff_ids, blobs);
  EXPECT_THAT(layers, ElementsAre(store_->find(diff_ids[0]), store_->find(diff_ids[1])));
  diff_ids.push_back(DiffId{Digest::of("more")});
  try {
    store_->add_image("an image", diff_ids, blobs);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_EQ(error.message(), "an image lists 2 layers, but its config has 3 diff IDs");
  }
  EXPECT_FALSE(store_->find(diff_ids[2]));
}

TEST_F(LayerStoreTest, TellsWhichLayersOfAStackHaveNoDirectory) {
  DiffId diff_id;
  const Descriptor blob = remote({file("f", 5)}, &diff_id);
  const LayerId image = store_->add_known(diff_id, blob);
  const LayerId a = commit({file("a")});
  const LayerId b = commit({file("b")});
  EXPECT_THAT(store_->without_directory({a, image, b}), ElementsAre(image));
  EXPECT_THAT(store_->without_directory({a, b}), IsEmpty());
  store_->ensure_directory(image, provider_);
  EXPECT_THAT(store_->without_directory({a, image, b}), IsEmpty());
  reopen();
  EXPECT_THAT(store_->without_directory({a, image, b, b + 1}), ElementsAre(b + 1));
}

TEST_F(LayerStoreTest, AFetchedBlobIsExtractedWithoutTheProvider) {
  DiffId diff_id;
  const Descriptor blob = remote({file("f", 5)}, &diff_id);
  store_->ensure_blob(blob, provider_);
  store_->ensure_blob(blob, provider_);
  const LayerId id = store_->add_known(diff_id, blob);
  store_->ensure_directory(id, provider_);
  EXPECT_EQ(provider_.opened, 1);
  EXPECT_TRUE(store_->has_directory(id));
}

TEST_F(LayerStoreTest, ADamagedBlobIsFetchedAgain) {
  DiffId diff_id;
  const Descriptor blob = remote({file("f", 600)}, &diff_id);
  store_->ensure_blob(blob, provider_);
  {
    std::string bytes = provider_.blobs[blob.digest];
    bytes[600] ^= 1;
    ASSERT_EQ(::chmod(content_->path(blob.digest).c_str(), 0600), 0);
    const UniqueFd fd = sys::open(content_->path(blob.digest), O_WRONLY);
    sys::write_all(fd.get(), bytes);
  }
  const LayerId id = store_->add_known(diff_id, blob);
  store_->ensure_directory(id, provider_);
  EXPECT_EQ(provider_.opened, 2);
  EXPECT_EQ(read({id}, "f"), content_of(file("f", 600)));
}

TEST_F(LayerStoreTest, WhatDoesNotMatchIsRefusedAndNotKept) {
  DiffId diff_id;
  const Descriptor blob = remote({file("f", 600)}, &diff_id);
  const auto failure = [&](const DiffId& expected, const Descriptor& descriptor) {
    const LayerId id = store_->add_known(expected, descriptor);
    try {
      store_->ensure_directory(id, provider_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
      EXPECT_FALSE(store_->has_directory(id));
      return error.message();
    }
    return std::string("no error");
  };
  EXPECT_THAT(failure(DiffId{Digest::of("other")}, blob), HasSubstr("diff ID"));
  Descriptor wrong = blob;
  wrong.digest = Digest::of("wrong");
  provider_.blobs[wrong.digest] = provider_.blobs[blob.digest];
  EXPECT_THAT(failure(DiffId{Digest::of("b")}, wrong), HasSubstr(wrong.digest.str()));
  EXPECT_FALSE(content_->has(wrong.digest));
  Descriptor small = remote({file("g", 700)});
  small.size -= 1;
  EXPECT_THAT(failure(DiffId{Digest::of("c")}, small), HasSubstr("more than"));
  EXPECT_FALSE(content_->has(small.digest));
  EXPECT_THAT(names_in("tmp"), testing::Each(testing::Not(testing::StartsWith("layer-"))));
}

TEST_F(LayerStoreTest, ThreadsAndProcessesExtractALayerOnce) {
  DiffId diff_id;
  const Descriptor blob = remote({dir("d"), file("d/f", 50'000)}, &diff_id);
  const LayerId id = store_->add_known(diff_id, blob);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { store_->ensure_directory(id, provider_); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(provider_.opened, 1);
}

TEST_F(LayerStoreTest, ProcessesCommitSideBySide) {
  store_.reset();
  test::in_processes(4, [&](int i) {
    database_.release();  // the parent's
    reopen();
    for (int k = 0; k < 10; ++k) commit({file("f" + std::to_string(i), 5)});
  });
  reopen();
  EXPECT_EQ(names_in("layers").size(), 42U);
  for (LayerId id = 1; id <= 40; ++id) EXPECT_EQ(store_->index(id)->entries().size(), 1U);
}

TEST_F(LayerStoreTest, SweepsOnlyWhatDeadProcessesLeft) {
  const PendingLayer alive = store_->prepare();
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    PendingLayer dead = store_->prepare();
    ::_exit(0);
  }
  ::waitpid(pid, nullptr, 0);
  EXPECT_EQ(names_in("tmp").size(), 2U);
  auto database = database_->reopen();
  auto other = LayerStore::open(root_, *database, *content_);
  const PendingLayer mine = other->prepare();
  EXPECT_EQ(names_in("tmp").size(), 2U);
  EXPECT_TRUE(sys::lstatat(AT_FDCWD, alive.path()));
}

TEST_F(LayerStoreTest, WhatACrashLeftUnderANewIdIsReplaced) {
  const LayerId first = commit({file("f")});
  sys::make_dirs(root_ + "/layers/" + std::to_string(first + 1) + "/rest");
  const LayerId second = commit({file("g", 3)});
  EXPECT_EQ(second, first + 1);
  EXPECT_EQ(read({second}, "g"), content_of(file("g", 3)));
  EXPECT_FALSE(sys::lstatat(AT_FDCWD, store_->directory(second) + "/rest"));
}

TEST_F(LayerStoreTest, LayersOfAnotherBootAreDroppedUnlessDurable) {
  DiffId diff_id;
  const LayerId kept = commit({file("kept")});
  const LayerId lost = commit({file("lost")});
  const LayerId image = store_->add_known(diff_id, remote({file("f", 5)}, &diff_id));
  store_->ensure_directory(image, provider_);
  database_->execute("UPDATE layers SET durable = 1 WHERE id = " + std::to_string(kept));
  reopen();
  EXPECT_TRUE(store_->exists({kept, lost, image}));
  EXPECT_TRUE(store_->has_directory(image));

  LayerStoreOptions rebooted;
  rebooted.boot_id = "another";
  reopen(rebooted);
  EXPECT_TRUE(store_->exists({kept}));
  EXPECT_FALSE(store_->exists({lost}));
  // What can be fetched again is known still.
  EXPECT_TRUE(store_->exists({image}));
  EXPECT_FALSE(store_->has_directory(image));
  EXPECT_THAT(names_in("layers"), ElementsAre("0", "00", "1"));
  EXPECT_THAT(names_in("index"), ElementsAre("1"));
  store_->ensure_directory(image, provider_);
  EXPECT_TRUE(store_->has_directory(image));
}

TEST_F(LayerStoreTest, LayersBecomeDurableInTheBackground) {
  LayerStoreOptions options;
  options.durability_delay = 1ms;
  reopen(options);
  const LayerId first = commit({file("a")});
  for (int i = 0; i < 3000 && !durable(first); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(durable(first));
  const LayerId second = commit({file("b")});
  for (int i = 0; i < 3000 && !durable(second); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(durable(second));
}

TEST_F(LayerStoreTest, ClosingDoesNotWaitForDurability) {
  LayerStoreOptions options;
  options.durability_delay = 60s;
  reopen(options);
  const LayerId id = commit({file("a")});
  const auto start = std::chrono::steady_clock::now();
  store_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 20s);
  EXPECT_FALSE(durable(id));
}

TEST_F(LayerStoreTest, AStepsChangesBecomeALayer) {
  if (!can_mount()) GTEST_SKIP() << "needs the right to mount";
  const LayerId base = commit({dir("d"), file("d/keep", 5), file("d/gone", 5)});
  PendingLayer upper = store_->prepare();
  const Mount mount = store_->overlay({base}, &upper);
  const std::string target = root_ + "/target";
  sys::make_dirs(target);
  in_mount_namespace([&] {
    mount_overlay({mount.lower_base + "/" + mount.lowers[0]}, mount.upper, mount.work, target);
    ::unlink((target + "/d/gone").c_str());
    ::chmod((target + "/d/keep").c_str(), 0644);
    sys::write_file_atomically(target + "/new", "new");
  });
  const LayerId id = store_->commit_upper(std::move(upper), {base});
  EXPECT_THAT(lines(store_->merged({base, id}), false),
              ElementsAre(testing::StartsWith("d "), testing::StartsWith("d/keep "),
                          testing::StartsWith("new ")));
  EXPECT_EQ(store_->index(id)->entries().size(), 3U);
  EXPECT_EQ(read({base, id}, "new"), "new");
  EXPECT_EQ(read({base, id}, "d/gone"), "absent");
  EXPECT_THAT(names_in("tmp"), IsEmpty());
}

TEST_F(LayerStoreTest, BlobsAndDiffIdsAreRecorded) {
  const LayerId id = commit({file("f")});
  const Descriptor blob = remote({file("f")});
  store_->record_diff_id(id, DiffId{Digest::of("d")});
  store_->record_blob(id, {"gzip-isal-2", blob});
  store_->record_blob(id, {"gzip-isal-2", blob});
  const auto info = store_->info(id);
  EXPECT_EQ(info->diff_id->digest, Digest::of("d"));
  ASSERT_EQ(info->blobs.size(), 1U);
  EXPECT_EQ(info->blobs[0].encoding, "gzip-isal-2");
  EXPECT_EQ(store_->add_known(DiffId{Digest::of("d")}, blob), id);
}

TEST_F(LayerStoreTest, OpensRegularFilesOnly) {
  const LayerId id = commit({link("l", "/etc/passwd"), dir("d")});
  EXPECT_THROW(store_->open_entry(id, link("l", "x")), Error);
  EXPECT_THROW(store_->open_entry(id, file("l")), Error);
  EXPECT_THROW(store_->open_entry(id, file("d")), Error);
}

}  // namespace
}  // namespace lade
