#include "snapshotter/content/content_store.hpp"

#include <atomic>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ContentStoreTest : public ::testing::Test {
 protected:
  std::vector<std::string> names(const std::string& folder) const {
    return sys::list_dir(sys::open(root_.path() + "/" + folder, O_RDONLY | O_DIRECTORY).get());
  }

  TempDir root_ = TempDir::create(::testing::TempDir());
  std::unique_ptr<ContentStore> store_ = ContentStore::open(root_.path());
};

TEST_F(ContentStoreTest, KeepsWhatWasPut) {
  const Descriptor blob = store_->put("hello", "text/plain");
  EXPECT_EQ(blob.digest, Digest::of("hello"));
  EXPECT_EQ(blob.size, 5u);
  EXPECT_EQ(blob.media_type, "text/plain");
  EXPECT_TRUE(store_->has(blob.digest));
  EXPECT_EQ(store_->size(blob.digest), 5u);
  EXPECT_EQ(store_->read_blob(blob.digest), "hello");
  EXPECT_EQ(store_->path(blob.digest), root_.path() + "/blobs/sha256/" + blob.digest.hex());
  auto fd = store_->open_blob(blob.digest);
  ASSERT_TRUE(fd);
  FdSource source(std::move(*fd));
  EXPECT_EQ(read_all(source, 10, "blob"), "hello");
}

TEST_F(ContentStoreTest, OutlivesItsOwner) {
  const Descriptor blob = store_->put("hello", "");
  EXPECT_TRUE(ContentStore::open(root_.path())->has(blob.digest));
}

TEST_F(ContentStoreTest, SaysWhatItDoesNotHave) {
  const Digest none = Digest::of("none");
  EXPECT_FALSE(store_->has(none));
  EXPECT_EQ(store_->size(none), std::nullopt);
  EXPECT_FALSE(store_->open_blob(none));
  try {
    store_->read_blob(none);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
    EXPECT_THAT(error.message(), HasSubstr(none.str()));
  }
}

TEST_F(ContentStoreTest, HashesManySmallAndLargeWrites) {
  const auto ingest = store_->ingest();
  std::string all;
  for (size_t i = 0; i < 300; ++i) {
    const std::string part(i % 7 == 0 ? 200'000 : 513, static_cast<char>('a' + i % 26));
    ingest->write(part);
    all += part;
  }
  const Descriptor blob = ingest->commit();
  EXPECT_EQ(blob.digest, Digest::of(all));
  EXPECT_EQ(store_->read_blob(blob.digest, all.size()), all);
}

TEST_F(ContentStoreTest, ShowsNothingBeforeCommitAndLeavesNothingWhenAbandoned) {
  {
    const auto ingest = store_->ingest();
    ingest->write("hello");
    EXPECT_FALSE(store_->has(Digest::of("hello")));
    EXPECT_EQ(names("tmp").size(), 1u);
  }
  EXPECT_THAT(names("tmp"), IsEmpty());
  EXPECT_THAT(names("blobs/sha256"), IsEmpty());
}

TEST_F(ContentStoreTest, RefusesABlobThatIsNotTheExpectedOne) {
  Descriptor expected;
  expected.digest = Digest::of("hello");
  expected.size = 5;
  const auto commit = [&](std::string_view bytes) {
    const auto ingest = store_->ingest();
    ingest->write(bytes);
    return ingest->commit(&expected);
  };
  try {
    commit("hallo");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(error.message(), HasSubstr(expected.digest.str()));
    EXPECT_THAT(error.message(), HasSubstr(Digest::of("hallo").str()));
  }
  EXPECT_THAT(names("tmp"), IsEmpty());
  EXPECT_THAT(names("blobs/sha256"), IsEmpty());
  EXPECT_EQ(commit("hello").digest, expected.digest);
  expected.size = 6;
  EXPECT_THROW(commit("hello"), Error);
}

TEST_F(ContentStoreTest, NamesTheFileOfACorruptBlob) {
  const Descriptor blob = store_->put("hello", "");
  sys::write_file_atomically(store_->path(blob.digest), "hellO");
  try {
    store_->read_blob(blob.digest);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(error.message(), HasSubstr(store_->path(blob.digest)));
  }
  // Storing it again heals it.
  store_->put("hello", "");
  EXPECT_EQ(store_->read_blob(blob.digest), "hello");
}

TEST_F(ContentStoreTest, BoundsWhatItReadsWhole) {
  const Descriptor blob = store_->put("hello", "");
  EXPECT_EQ(store_->read_blob(blob.digest, 5), "hello");
  EXPECT_THROW(store_->read_blob(blob.digest, 4), Error);
}

TEST_F(ContentStoreTest, RemovesBlobsOnceOrTwice) {
  const Descriptor blob = store_->put("hello", "");
  store_->remove(blob.digest);
  EXPECT_FALSE(store_->has(blob.digest));
  EXPECT_NO_THROW(store_->remove(blob.digest));
}

TEST_F(ContentStoreTest, TakesTheSameBlobFromManyThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 50; ++j) store_->put("blob " + std::to_string(j), "");
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(names("blobs/sha256").size(), 50u);
  EXPECT_THAT(names("tmp"), IsEmpty());
  EXPECT_EQ(store_->read_blob(Digest::of("blob 49")), "blob 49");
}

// What LayerStore does with the files of tmp/ at its start: an unlocked one is a dead process's.
TEST_F(ContentStoreTest, ASweepTakesNothingThatIsBeingWritten) {
  std::atomic<bool> ended = false;
  std::thread sweeper([&] {
    const UniqueFd tmp = sys::open(root_.path() + "/tmp", O_RDONLY | O_DIRECTORY);
    while (!ended) {
      for (const auto& name : sys::list_dir(tmp.get())) {
        const auto file = sys::try_openat(tmp.get(), name, O_RDONLY);
        if (!file || ::flock(file->get(), LOCK_EX | LOCK_NB) != 0) continue;
        std::this_thread::yield();
        ::unlinkat(tmp.get(), name.c_str(), 0);
      }
    }
  });
  for (int number = 0; number < 2000; ++number) {
    EXPECT_NO_THROW(store_->put(std::to_string(number), "")) << number;
  }
  ended = true;
  sweeper.join();
  EXPECT_EQ(names("blobs/sha256").size(), 2000u);
}

}  // namespace
}  // namespace lade
