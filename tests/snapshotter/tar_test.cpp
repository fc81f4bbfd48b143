#include "snapshotter/tar.hpp"

#include <clocale>
#include <cstring>
#include <random>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/temp_dir.hpp"
#include "layers.hpp"
#include "snapshotter/dir_scan.hpp"
#include "snapshotter/open_beneath.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace testing_layers;

/// A ustar member made by hand, so that the reader is tested against something that is not
/// libarchive.
std::string member(const std::string& name, char type, const std::string& data = "",
                   const std::string& target = "", unsigned mode = 0644) {
  std::string block(512, '\0');
  const auto put = [&](size_t at, const std::string& text) {
    block.replace(at, text.size(), text);
  };
  put(0, name.substr(0, 100));
  put(100, fmt::format("{:07o}", mode));
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", data.size()));
  put(136, "00000000007");
  put(148, "        ");
  block[156] = type;
  put(157, target.substr(0, 100));
  put(257, std::string("ustar\0"
                       "00",
                       8));
  put(329, "0000001");
  put(337, "0000003");
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  block += data;
  block.resize((block.size() + 511) / 512 * 512);
  return block;
}

std::string pax(const std::vector<std::pair<std::string, std::string>>& records) {
  std::string out;
  for (const auto& [key, value] : records) {
    const size_t rest = key.size() + value.size() + 3;
    size_t size = rest + 1;
    while (std::to_string(size).size() + rest != size) ++size;
    out += fmt::format("{} {}=", size, key) + value + "\n";
  }
  return member("PaxHeaders/x", 'x', out);
}

const std::string kEnd(1024, '\0');

class TarTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to set owners and devices";
  }

  LayerIndex extract(const std::string& tar, TarDialect dialect = TarDialect::layer) {
    temp_ = TempDir::create("/tmp", "lade-test-");
    dir_ = sys::open(temp_.path(), O_RDONLY | O_DIRECTORY);
    StringSource source(tar);
    return extract_tar(source, dir_.get(), dialect);
  }

  std::string failure(const std::string& tar) {
    try {
      extract(tar + kEnd);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.message();
      return error.message();
    }
    return "no error";
  }

  /// The index has to say what is on disk: a scan gives the same, but for the hashes.
  void expect_matches_disk(const LayerIndex& index) {
    auto scanned = scan_tree(dir_.get(), false);
    if (!index.find("")) std::erase_if(scanned, [](const Entry& e) { return e.path.empty(); });
    std::vector<Entry> stored = index.entries();
    for (auto& entry : stored) entry.content = Digest();
    EXPECT_EQ(LayerIndex(scanned).entries(), stored);
  }

  static std::vector<std::string> paths(const LayerIndex& index) {
    std::vector<std::string> out;
    for (const auto& entry : index.entries()) out.push_back(entry.path);
    return out;
  }

  static UniqueFd open_content(const Entry& entry) {
    UniqueFd fd = sys::open("/tmp", O_RDWR | O_TMPFILE, 0600);
    sys::write_all(fd.get(), content_of(entry));
    ::lseek(fd.get(), 0, SEEK_SET);
    return fd;
  }

  static std::string write(const LayerIndex& index, const TarOptions& options = {}) {
    StringSink out;
    write_layer_tar(index, open_content, out, options);
    return out.take();
  }

  TempDir temp_;
  UniqueFd dir_;
};

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

TEST_F(TarTest, NoBytesAndNoEntriesAreEmptyLayers) {
  EXPECT_TRUE(extract("").entries().empty());
  EXPECT_TRUE(extract(kEnd).entries().empty());
}

TEST_F(TarTest, TruncatedAndForeignBytesAreCorrupt) {
  const std::string tar = member("a", '0', std::string(2000, 'x'));
  for (const size_t size : {100U, 600U, 1500U}) {
    EXPECT_THROW(extract(tar.substr(0, size)), Error) << size;
  }
  EXPECT_THROW(extract(std::string(4096, 'x')), Error);
}

TEST_F(TarTest, NamesAreCleanedAndParentsMade) {
  const LayerIndex index =
      extract(member("./a//b/./c", '0', "x") + member("/abs/f", '0') + member("d/", '5') + kEnd);
  EXPECT_THAT(paths(index), ElementsAre("a", "a/b", "a/b/c", "abs", "abs/f", "d"));
  EXPECT_EQ(index.find("a/b")->mode, 0755U);
  EXPECT_EQ(index.find("a/b")->mtime_sec, 0);
  expect_matches_disk(index);
}

TEST_F(TarTest, SaysWhichDirectoriesTheTarDoesNotName) {
  const TempDir temp = TempDir::create("/tmp", "lade-test-");
  const UniqueFd fd = sys::open(temp.path(), O_RDONLY | O_DIRECTORY);
  StringSource source(member("a/b/c", '0') + member("a/", '5') + member("x/y", '0') +
                      member("x", '0') + kEnd);
  std::vector<std::string> implied;
  extract_tar(source, fd.get(), TarDialect::plain, false, &implied);
  EXPECT_THAT(implied, ElementsAre("a/b"));
}

TEST_F(TarTest, NamesThatLeaveTheDirectoryAreRefused) {
  EXPECT_THAT(failure(member("../x", '0')), HasSubstr("'../x'"));
  EXPECT_THAT(failure(member("a/../../x", '0')), HasSubstr("leaves"));
  EXPECT_EQ(failure(member("a/../x", '0')), "no error");
}

TEST_F(TarTest, NothingGoesThroughASymlink) {
  EXPECT_THAT(failure(member("l", '2', "", "/tmp") + member("l/x", '0')),
              HasSubstr("no directory"));
  EXPECT_THAT(failure(member("l", '2', "", "/etc") + member("h", '1', "", "l/passwd")),
              HasSubstr("no earlier file"));
  EXPECT_THAT(failure(member("f", '0') + member("f/x", '0')), HasSubstr("no directory"));
}

TEST_F(TarTest, LaterEntriesReplaceEarlierOnes) {
  const LayerIndex index = extract(
      member("f", '0', "one") + member("f", '0', "two") + member("d/", '5') + member("d/x", '0') +
      member("d", '0', "now a file") + member("g", '0') + member("g/", '5', "", "", 0700) +
      member("g/y", '0') + member("g/", '5', "", "", 0750) + member("s", '2', "", "f") +
      member("s", '0', "own") + kEnd);
  EXPECT_THAT(paths(index), ElementsAre("d", "f", "g", "g/y", "s"));
  EXPECT_EQ(index.find("f")->content, Digest::of("two"));
  EXPECT_EQ(index.find("d")->type, EntryType::regular);
  EXPECT_EQ(index.find("g")->mode, 0750U);
  EXPECT_EQ(index.find("s")->content, Digest::of("own"));
  EXPECT_EQ(index.find("f")->content, Digest::of("two"));
  expect_matches_disk(index);
}

TEST_F(TarTest, ReplacingOneNameOfAFileLeavesTheOthers) {
  const LayerIndex index =
      extract(member("a", '0', "one") + member("b", '1', "", "a") + member("a", '0', "two") + kEnd);
  EXPECT_EQ(index.find("a")->content, Digest::of("two"));
  EXPECT_EQ(index.find("b")->content, Digest::of("one"));
  EXPECT_EQ(index.find("b")->hardlink_group, 0U);
  expect_matches_disk(index);
}

TEST_F(TarTest, HardLinksShareOneFile) {
  const LayerIndex index =
      extract(member("d/a", '0', "x") + member("b", '1', "", "./d/a") + member("l", '2', "", "t") +
              member("m", '1', "", "l") + member("b", '1', "", "b") + kEnd);
  EXPECT_EQ(index.find("b")->hardlink_group, index.find("d/a")->hardlink_group);
  EXPECT_NE(index.find("b")->hardlink_group, 0U);
  EXPECT_EQ(index.find("m")->type, EntryType::symlink);
  EXPECT_EQ(index.find("m")->hardlink_group, index.find("l")->hardlink_group);
  expect_matches_disk(index);
  EXPECT_THAT(failure(member("b", '1', "", "missing")), HasSubstr("'/missing'"));
  EXPECT_THAT(failure(member("d/", '5') + member("b", '1', "", "d")), HasSubstr("no earlier file"));
  EXPECT_THAT(failure(member("b", '1', "", "../etc/passwd")), HasSubstr("leaves"));
  EXPECT_THAT(failure(member("d/a", '0') + member("d", '1', "", "d/a")), HasSubstr("no earlier"));
}

TEST_F(TarTest, WhiteoutsAndOpaqueMarkersBecomeOverlays) {
  const LayerIndex index =
      extract(member("d/.wh.x", '0') + member("o/.wh..wh..opq", '0') + member("o/y", '0') +
              member(".wh.top", '0') + member("d/.wh..wh.plnk", '0') + kEnd);
  EXPECT_THAT(paths(index), ElementsAre("d", "d/x", "o", "o/y", "top"));
  EXPECT_EQ(index.find("d/x")->type, EntryType::whiteout);
  EXPECT_TRUE(index.find("o")->opaque);
  struct stat info{};
  ASSERT_EQ(::fstatat(dir_.get(), "top", &info, 0), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode));
  EXPECT_EQ(info.st_rdev, makedev(0, 0));
  char value = 0;
  EXPECT_EQ(::getxattr((temp_.path() + "/o").c_str(), "trusted.overlay.opaque", &value, 1), 1);
  EXPECT_EQ(value, 'y');
  expect_matches_disk(index);
}

TEST_F(TarTest, UserXattrMarksOpaqueDirectoriesInTheUsersNamespace) {
  const TempDir temp = TempDir::create("/tmp", "lade-test-");
  const UniqueFd fd = sys::open(temp.path(), O_RDONLY | O_DIRECTORY);
  StringSource source(member("o/.wh..wh..opq", '0') + kEnd);
  extract_tar(source, fd.get(), TarDialect::layer, true);
  char value = 0;
  EXPECT_EQ(::getxattr((temp.path() + "/o").c_str(), "user.overlay.opaque", &value, 1), 1);
}

TEST_F(TarTest, AWhiteoutNeverHidesItsOwnLayer) {
  for (const bool first : {true, false}) {
    const std::string marker = member(".wh.f", '0') + member(".wh.d", '0');
    const std::string rest = member("f", '0', "x") + member("d/", '5') + member("d/y", '0');
    const LayerIndex index = extract((first ? marker + rest : rest + marker) + kEnd);
    EXPECT_THAT(paths(index), ElementsAre("d", "d/y", "f"));
    EXPECT_EQ(index.find("f")->type, EntryType::regular);
    // What lower layers have in a directory of that name stays hidden.
    EXPECT_TRUE(index.find("d")->opaque);
    expect_matches_disk(index);
  }
}

TEST_F(TarTest, BadWhiteoutsAreRefused) {
  EXPECT_THAT(failure(member(".wh.", '0')), HasSubstr("whiteout"));
  EXPECT_THAT(failure(member("a/.wh...", '0')), HasSubstr("whiteout"));
  EXPECT_THAT(failure(member("a/.wh..", '0')), HasSubstr("whiteout"));
}

TEST_F(TarTest, InPlainTarsMarkersAreFiles) {
  const LayerIndex index =
      extract(member("d/.wh.x", '0') + member("d/.wh..wh..opq", '0') + kEnd, TarDialect::plain);
  EXPECT_THAT(paths(index), ElementsAre("d", "d/.wh..wh..opq", "d/.wh.x"));
  EXPECT_FALSE(index.find("d")->opaque);
}

TEST_F(TarTest, OverlaysOwnFormsAreRefused) {
  std::string device = member("c", '3');
  device.replace(329, 7, "0000000");
  device.replace(337, 7, "0000000");
  unsigned sum = 0;
  device.replace(148, 8, "        ");
  for (const char c : device) sum += static_cast<unsigned char>(c);
  device.replace(148, 6, fmt::format("{:06o}", sum));
  EXPECT_THAT(failure(device), HasSubstr("0:0"));
  EXPECT_THAT(failure(pax({{"SCHILY.xattr.trusted.overlay.opaque", "y"}}) + member("d/", '5')),
              HasSubstr("reserved"));
  EXPECT_THAT(failure(pax({{"SCHILY.xattr.user.overlay.redirect", "/"}}) + member("d/", '5')),
              HasSubstr("reserved"));
}

TEST_F(TarTest, LabelsOfTheHostAreNotTaken) {
  const LayerIndex index =
      extract(pax({{"SCHILY.xattr.security.selinux", "label"}, {"SCHILY.xattr.user.k", "v"}}) +
              member("f", '0') + kEnd);
  EXPECT_THAT(index.find("f")->xattrs, ElementsAre(sys::Xattr{"user.k", "v"}));
}

TEST_F(TarTest, NamesStayBytes) {
  const LayerIndex index = extract(pax({{"path", "Főt\xc3\xa9"}}) + member("x", '0') +
                                   pax({{"path", "\xff\xfe"}, {"linkpath", "\xe9"}}) +
                                   member("y", '2') + member("\xe9t\xe9", '0') + kEnd);
  EXPECT_THAT(paths(index), ElementsAre("Főt\xc3\xa9", "\xe9t\xe9", "\xff\xfe"));
  EXPECT_EQ(index.find("\xff\xfe")->link_target, "\xe9");
}

TEST_F(TarTest, AbsurdNamesAndOwnersAreRefused) {
  std::string deep;
  for (int i = 0; i < 2100; ++i) deep += "d/";
  EXPECT_THAT(failure(pax({{"path", deep + "f"}}) + member("x", '0')), HasSubstr("4095"));
  EXPECT_THAT(failure(pax({{"uid", "-7"}}) + member("x", '0')), HasSubstr("owner"));
  EXPECT_THAT(failure(pax({{"uid", "4294967295"}}) + member("x", '0')), HasSubstr("owner"));
  EXPECT_THROW(extract(pax({{"path", std::string(300, 'n')}}) + member("x", '0') + kEnd), Error);
}

TEST_F(TarTest, SparseFilesKeepTheirHolesAndHashTheirZeros) {
  const std::string map = "1\n1048576\n3\n";
  const LayerIndex index = extract(
      pax({{"GNU.sparse.major", "1"},
           {"GNU.sparse.minor", "0"},
           {"GNU.sparse.name", "s"},
           {"GNU.sparse.realsize", "2097152"}}) +
      member("GNUSparseFile.0/s", '0', map + std::string(512 - map.size(), '\0') + "abc") + kEnd);
  std::string content(2 << 20, '\0');
  content.replace(1 << 20, 3, "abc");
  ASSERT_TRUE(index.find("s"));
  EXPECT_EQ(index.find("s")->size, content.size());
  EXPECT_EQ(index.find("s")->content, Digest::of(content));
  EXPECT_EQ(sys::read_file(temp_.path() + "/s"), content);
  struct stat info{};
  ASSERT_EQ(::fstatat(dir_.get(), "s", &info, 0), 0);
  EXPECT_LT(info.st_blocks, 64);
}

TEST_F(TarTest, SparseFilesOfAbsurdSizeAreRefused) {
  const std::string map = "1\n0\n3\n";
  EXPECT_THAT(
      failure(pax({{"GNU.sparse.major", "1"},
                   {"GNU.sparse.minor", "0"},
                   {"GNU.sparse.name", "s"},
                   {"GNU.sparse.realsize", "9000000000000000000"}}) +
              member("GNUSparseFile.0/s", '0', map + std::string(512 - map.size(), '\0') + "abc")),
      HasSubstr("absurd"));
}

TEST_F(TarTest, NewFilesDoNotInheritTheDirectorysGroup) {
  temp_ = TempDir::create("/tmp", "lade-test-");
  ASSERT_EQ(::chown(temp_.path().c_str(), 0, 1234), 0);
  ASSERT_EQ(::chmod(temp_.path().c_str(), 02755), 0);
  dir_ = sys::open(temp_.path(), O_RDONLY | O_DIRECTORY);
  StringSource source(member("d/f", '0') + member("s", '2', "", "t") + kEnd);
  expect_matches_disk(extract_tar(source, dir_.get(), TarDialect::layer));
}

TEST_F(TarTest, ModesDoNotDependOnTheUmask) {
  const mode_t before = ::umask(077);
  const LayerIndex index =
      extract(member("d/", '5', "", "", 0777) + member("f", '0', "", "", 0666) +
              member("p", '6', "", "", 0622) + kEnd);
  ::umask(before);
  EXPECT_EQ(index.find("f")->mode, 0666U);
  expect_matches_disk(index);
}

}  // namespace
}  // namespace lade
