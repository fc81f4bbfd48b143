#include "snapshotter/tar/tar.hpp"

#include <clocale>
#include <random>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_dir.hpp"
#include "tar_fixture.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace testing_layers;

LayerIndex with_digests(std::vector<Entry> entries) {
  for (auto& entry : entries) {
    if (entry.type == EntryType::regular) entry.content = Digest::of(content_of(entry));
  }
  return LayerIndex(std::move(entries));
}

std::vector<Entry> all_kinds() {
  std::vector<Entry> out;
  const auto add = [&](Entry entry) { out.push_back(std::move(entry)); };
  Entry root = dir("", 0751);
  root.mtime_sec = 11;
  add(root);
  add(dir("d", 01777));
  Entry setuid = file("d/setuid", 100);
  setuid.mode = 04755;
  setuid.uid = 33;
  setuid.gid = 4'000'000'000;
  setuid.mtime_sec = 1'700'000'000;
  setuid.mtime_nsec = 123'456'789;
  setuid.xattrs = {
      {"security.capability", std::string("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20)},
      {"user.note", std::string("a\0=\n b", 6)}};
  add(setuid);
  Entry past = file("past", 1);
  past.mtime_sec = -1'000'000;
  past.mtime_nsec = 500;
  add(past);
  Entry future = file("future");
  future.mtime_sec = 9'000'000'000;
  add(future);
  const std::string long_name(120, 'n');
  const std::string long_dir = std::string(200, 'p') + "/" + std::string(200, 'q');
  add(dir(std::string(200, 'p')));
  add(dir(long_dir));
  add(file(long_dir + "/" + long_name, 3));
  add(file(long_name, 4));
  add(file("\xff\xfe not utf-8", 5));
  add(file("Főtanúsítvány.crt", 6));
  add(link("symlink", "d/setuid"));
  add(link("long-symlink", std::string(300, 't')));
  add(link("odd-symlink", "\xff/\xc3\xb6"));
  Entry device = file("null");
  device.type = EntryType::char_device;
  device.dev_major = 1;
  device.dev_minor = 3;
  device.mode = 0666;
  add(device);
  device.path = "disk";
  device.type = EntryType::block_device;
  device.dev_minor = 300'000;
  add(device);
  Entry fifo = file("fifo");
  fifo.type = EntryType::fifo;
  add(fifo);
  for (const char* name : {"hard1", "hard2", "d/hard3"}) {
    Entry hard = file(name, 0);
    hard.hardlink_group = 5;
    hard.xattrs = {{"user.h", "1"}};
    add(hard);
  }
  add(whiteout("d/gone"));
  Entry covered = opaque("covered");
  add(covered);
  add(file("covered/x", 2));
  return out;
}

TEST_F(TarTest, EveryKindOfEntryComesBackAsItWas) {
  const LayerIndex index = with_digests(all_kinds());
  const std::string tar = write(index);
  const LayerIndex back = extract(tar);
  EXPECT_EQ(back.entries(), index.entries());
  expect_matches_disk(back);
  EXPECT_EQ(write(back), tar);
}

TEST_F(TarTest, RandomLayersComeBackAsTheyWere) {
  std::mt19937 random(5);
  for (int round = 0; round < 30; ++round) {
    const LayerIndex index = with_digests(random_layer(random));
    const LayerIndex back = extract(write(index));
    EXPECT_EQ(back.entries(), index.entries());
    expect_matches_disk(back);
  }
}

TEST_F(TarTest, TheBytesDependOnTheEntriesAlone) {
  auto entries = all_kinds();
  const std::string tar = write(with_digests(entries));
  std::reverse(entries.begin(), entries.end());
  EXPECT_EQ(Digest::of(write(with_digests(entries))), Digest::of(tar));
  const char* previous = ::setlocale(LC_ALL, "C.UTF-8");
  EXPECT_EQ(Digest::of(write(with_digests(entries))), Digest::of(tar));
  if (previous) ::setlocale(LC_ALL, "C");
}

TEST_F(TarTest, PlainEntriesHaveNoExtendedHeader) {
  Entry plain = file("a", 1);
  plain.mtime_sec = 1'700'000'000;
  EXPECT_EQ(write(LayerIndex({plain})).size(), 512U + 512U + 1024U);
  plain.mtime_nsec = 1;
  const std::string tar = write(LayerIndex({plain}));
  EXPECT_THAT(tar, HasSubstr("mtime=1700000000.000000001\n"));
  EXPECT_THAT(tar, testing::Not(HasSubstr("atime")));
  EXPECT_THAT(tar, testing::Not(HasSubstr("ctime")));
}

TEST_F(TarTest, FractionsOfSecondsBefore1970AreDecimalFractions) {
  const LayerIndex read = extract(pax({{"mtime", "-86400.25"}}) + member("f", '0') + kEnd);
  EXPECT_EQ(read.find("f")->mtime_sec, -86401);
  EXPECT_EQ(read.find("f")->mtime_nsec, 750'000'000U);
  EXPECT_THAT(write(read), HasSubstr("mtime=-86400.25\n"));
}

TEST_F(TarTest, XattrsAreWrittenOnce) {
  Entry entry = file("a");
  entry.xattrs = {{"user.k", "v"}, {"trusted.overlay.origin", "x"}};
  const std::string tar = write(LayerIndex({entry}));
  EXPECT_THAT(tar, HasSubstr("SCHILY.xattr.user.k=v"));
  EXPECT_THAT(tar, testing::Not(HasSubstr("LIBARCHIVE")));
  EXPECT_THAT(tar, testing::Not(HasSubstr("overlay")));
}

TEST_F(TarTest, SocketsAreLeftOut) {
  Entry socket = file("s");
  socket.type = EntryType::socket;
  EXPECT_EQ(write(LayerIndex({socket})), kEnd);
}

TEST_F(TarTest, ClampsLaterTimes) {
  Entry early = file("early");
  early.mtime_sec = 100;
  early.mtime_nsec = 9;
  Entry late = file("late");
  late.mtime_sec = 2000;
  late.mtime_nsec = 5;
  TarOptions options;
  options.clamp_mtime = Timestamp{1000, 0};
  const LayerIndex back = extract(write(LayerIndex({early, late}), options));
  EXPECT_EQ(back.find("early")->mtime_nsec, 9U);
  EXPECT_EQ(back.find("late")->mtime_sec, 1000);
  EXPECT_EQ(back.find("late")->mtime_nsec, 0U);
}

TEST_F(TarTest, NamesThatWouldBecomeDeletionsAreRefused) {
  EXPECT_THROW(write(LayerIndex({file(".wh.x")})), Error);
  StringSink out;
  write_rootfs_tar({file(".wh.x")}, open_content, out);
  EXPECT_THAT(paths(extract(out.take(), TarDialect::plain)), ElementsAre(".wh.x"));
}

TEST_F(TarTest, AFileThatIsTooShortIsAnError) {
  StringSink out;
  const OpenContent open = [](const Entry&) { return sys::open("/dev/null", O_RDONLY); };
  EXPECT_THROW(write_layer_tar(LayerIndex({file("a", 1)}), open, out), Error);
}

TEST_F(TarTest, WhatTheSinkThrowsComesThrough) {
  struct Full : ByteSink {
    void write(std::string_view) override { throw Error("full", ErrorKind::unavailable); }
  } full;
  try {
    write_layer_tar(LayerIndex({file("a", 1 << 20)}), open_content, full);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  }
}

TEST_F(TarTest, WhatTheSourceThrowsComesThrough) {
  struct Broken : ByteSource {
    size_t read(char*, size_t) override { throw Error("gone", ErrorKind::unavailable); }
  } broken;
  const TempDir temp = TempDir::create("/tmp", "lade-test-");
  const UniqueFd fd = sys::open(temp.path(), O_RDONLY | O_DIRECTORY);
  try {
    extract_tar(broken, fd.get(), TarDialect::layer);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  }
}

TEST_F(TarTest, ReadsToTheEndOfTheStream) {
  const std::string tar = member("a", '0') + kEnd + std::string(1 << 20, '\0');
  temp_ = TempDir::create("/tmp", "lade-test-");
  dir_ = sys::open(temp_.path(), O_RDONLY | O_DIRECTORY);
  StringSource inner(tar);
  HashSource source(inner);
  extract_tar(source, dir_.get(), TarDialect::layer);
  EXPECT_EQ(source.digest(), Digest::of(tar));
}

}  // namespace
}  // namespace lade
