// Tars of others: what they may hold, and what is refused.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "snapshotter/tree/layer_index.hpp"
#include "snapshotter/tree/open_beneath.hpp"
#include "tar_fixture.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace testing_layers;

class TarExtractTest : public TarTest {};

TEST_F(TarExtractTest, NoBytesAndNoEntriesAreEmptyLayers) {
  EXPECT_TRUE(extract("").entries().empty());
  EXPECT_TRUE(extract(kEnd).entries().empty());
}

TEST_F(TarExtractTest, TruncatedAndForeignBytesAreCorrupt) {
  const std::string tar = member("a", '0', std::string(2000, 'x'));
  for (const size_t size : {100U, 600U, 1500U}) {
    EXPECT_THROW(extract(tar.substr(0, size)), Error) << size;
  }
  EXPECT_THROW(extract(std::string(4096, 'x')), Error);
}

TEST_F(TarExtractTest, NamesAreCleanedAndParentsMade) {
  const LayerIndex index =
      extract(member("./a//b/./c", '0', "x") + member("/abs/f", '0') + member("d/", '5') + kEnd);
  EXPECT_THAT(paths(index), ElementsAre("a", "a/b", "a/b/c", "abs", "abs/f", "d"));
  EXPECT_EQ(index.find("a/b")->mode, 0755U);
  EXPECT_EQ(index.find("a/b")->mtime_sec, 0);
  expect_matches_disk(index);
}

TEST_F(TarExtractTest, SaysWhichDirectoriesTheTarDoesNotName) {
  const TempDir temp = TempDir::create("/tmp", "lade-test-");
  const UniqueFd fd = sys::open(temp.path(), O_RDONLY | O_DIRECTORY);
  StringSource source(member("a/b/c", '0') + member("a/", '5') + member("x/y", '0') +
                      member("x", '0') + kEnd);
  ExtractionNotes notes;
  extract_tar(source, fd.get(), TarDialect::plain, false, &notes);
  EXPECT_THAT(notes.implied, ElementsAre("a/b"));
}

TEST_F(TarExtractTest, NamesThatLeaveTheDirectoryAreRefused) {
  EXPECT_THAT(failure(member("../x", '0')), HasSubstr("'../x'"));
  EXPECT_THAT(failure(member("a/../../x", '0')), HasSubstr("leaves"));
  EXPECT_EQ(failure(member("a/../x", '0')), "no error");
}

TEST_F(TarExtractTest, EntriesBelowSymlinksGoWhereTheyLeadWithinTheTop) {
  const LayerIndex index = extract(
      member("usr/lib/", '5') + member("lib", '2', "", "usr/lib") + member("lib/f", '0', "f") +
      member("abs", '2', "", "/usr/lib") + member("abs/g", '0', "g") +
      member("out", '2', "", "../../../etc") + member("out/h", '0', "h") +
      member("a/b/up", '2', "", "../../usr/./x/..") + member("a/b/up/i", '0', "i") +
      member("chain", '2', "", "lib") + member("chain/j/", '5') + member("chain/j/k", '0', "k") +
      member("later", '2', "", "made/later") + member("later/l", '0', "l") +
      member("hard", '1', "", "lib/f") + member("lib/hard2", '1', "", "chain/j/k") + kEnd);
  for (const char* path : {"usr/lib/f", "usr/lib/g", "etc/h", "usr/i", "usr/lib/j/k",
                           "made/later/l", "hard", "usr/lib/hard2"}) {
    EXPECT_TRUE(index.find(path) && index.find(path)->type == EntryType::regular) << path;
  }
  EXPECT_EQ(index.find("lib")->type, EntryType::symlink);
  EXPECT_EQ(index.find("hard")->hardlink_group, index.find("usr/lib/f")->hardlink_group);
  EXPECT_EQ(index.find("usr/lib/hard2")->hardlink_group, index.find("usr/lib/j/k")->hardlink_group);
  expect_matches_disk(index);
}

TEST_F(TarExtractTest, NothingOutsideIsReachedThroughSymlinks) {
  const TempDir outside = TempDir::create("/tmp", "lade-test-");
  for (const std::string& target : {outside.path(), "../../../../../../.." + outside.path(),
                                    "/proc/self/root" + outside.path()}) {
    extract(member("l", '2', "", target) + member("l/x", '0', "x") + member("l/x/../y", '0', "y") +
            kEnd);
    EXPECT_FALSE(sys::lstatat(AT_FDCWD, outside.path() + "/x")) << target;
    EXPECT_FALSE(sys::lstatat(AT_FDCWD, outside.path() + "/y")) << target;
  }
}

TEST_F(TarExtractTest, SymlinksThatLeadNowhereAreRefused) {
  EXPECT_THAT(failure(member("l", '2', "", "l") + member("l/x", '0')),
              HasSubstr("its symlinks lead nowhere"));
  EXPECT_THAT(failure(member("a", '2', "", "b") + member("b", '2', "", "a") + member("a/x", '0')),
              HasSubstr("its symlinks lead nowhere"));
  EXPECT_THAT(failure(member("l", '2', "", "/etc") + member("h", '1', "", "l/passwd")),
              HasSubstr("not an earlier file"));
  EXPECT_THAT(failure(member("f", '0') + member("l", '2', "", "f") + member("l/x", '0')),
              HasSubstr("'/f' is not a directory"));
}

TEST_F(TarExtractTest, ALinkThatWasReplacedLeadsNowhereAnyMore) {
  const LayerIndex index =
      extract(member("l", '2', "", "one") + member("l/a", '0') + member("l", '2', "", "two") +
              member("l/b", '0') + member("l/", '5') + member("l/c", '0') + kEnd);
  EXPECT_THAT(paths(index), ElementsAre("l", "l/c", "one", "one/a", "two", "two/b"));
}

TEST_F(TarExtractTest, MembersWithoutANameAreLeftOut) {
  EXPECT_THAT(paths(extract(member("", '0', "x") + member(".", '0', "x") + member("a", '0') +
                            member("", '1', "", "a") + kEnd)),
              ElementsAre("a"));
}

TEST_F(TarExtractTest, LaterEntriesReplaceEarlierOnes) {
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

TEST_F(TarExtractTest, ReplacingOneNameOfAFileLeavesTheOthers) {
  const LayerIndex index =
      extract(member("a", '0', "one") + member("b", '1', "", "a") + member("a", '0', "two") + kEnd);
  EXPECT_EQ(index.find("a")->content, Digest::of("two"));
  EXPECT_EQ(index.find("b")->content, Digest::of("one"));
  EXPECT_EQ(index.find("b")->hardlink_group, 0U);
  expect_matches_disk(index);
}

TEST_F(TarExtractTest, HardLinksShareOneFile) {
  const LayerIndex index =
      extract(member("d/a", '0', "x") + member("b", '1', "", "./d/a") + member("l", '2', "", "t") +
              member("m", '1', "", "l") + member("b", '1', "", "b") + kEnd);
  EXPECT_EQ(index.find("b")->hardlink_group, index.find("d/a")->hardlink_group);
  EXPECT_NE(index.find("b")->hardlink_group, 0U);
  EXPECT_EQ(index.find("m")->type, EntryType::symlink);
  EXPECT_EQ(index.find("m")->hardlink_group, index.find("l")->hardlink_group);
  expect_matches_disk(index);
  EXPECT_THAT(failure(member("b", '1', "", "missing")), HasSubstr("'/missing'"));
  EXPECT_THAT(failure(member("d/", '5') + member("b", '1', "", "d")),
              HasSubstr("not an earlier file"));
  EXPECT_THAT(failure(member("b", '1', "", "../etc/passwd")), HasSubstr("leaves"));
  EXPECT_THAT(failure(member("d/a", '0') + member("d", '1', "", "d/a")),
              HasSubstr("not an earlier"));
}

TEST_F(TarExtractTest, WhiteoutsAndOpaqueMarkersBecomeOverlays) {
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

TEST_F(TarExtractTest, UserXattrMarksOpaqueDirectoriesInTheUsersNamespace) {
  const TempDir temp = TempDir::create("/tmp", "lade-test-");
  const UniqueFd fd = sys::open(temp.path(), O_RDONLY | O_DIRECTORY);
  StringSource source(member("o/.wh..wh..opq", '0') + kEnd);
  extract_tar(source, fd.get(), TarDialect::layer, true);
  char value = 0;
  EXPECT_EQ(::getxattr((temp.path() + "/o").c_str(), "user.overlay.opaque", &value, 1), 1);
}

TEST_F(TarExtractTest, AWhiteoutNeverHidesItsOwnLayer) {
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

TEST_F(TarExtractTest, BadWhiteoutsAreRefused) {
  EXPECT_THAT(failure(member(".wh.", '0')), HasSubstr("whiteout"));
  EXPECT_THAT(failure(member("a/.wh...", '0')), HasSubstr("whiteout"));
  EXPECT_THAT(failure(member("a/.wh..", '0')), HasSubstr("whiteout"));
}

TEST_F(TarExtractTest, InPlainTarsMarkersAreFiles) {
  const LayerIndex index =
      extract(member("d/.wh.x", '0') + member("d/.wh..wh..opq", '0') + kEnd, TarDialect::plain);
  EXPECT_THAT(paths(index), ElementsAre("d", "d/.wh..wh..opq", "d/.wh.x"));
  EXPECT_FALSE(index.find("d")->opaque);
}

TEST_F(TarExtractTest, OverlaysOwnFormsAreRefused) {
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

TEST_F(TarExtractTest, LabelsOfTheHostAreNotTaken) {
  const LayerIndex index =
      extract(pax({{"SCHILY.xattr.security.selinux", "label"}, {"SCHILY.xattr.user.k", "v"}}) +
              member("f", '0') + kEnd);
  EXPECT_THAT(index.find("f")->xattrs, ElementsAre(sys::Xattr{"user.k", "v"}));
}

TEST_F(TarExtractTest, NamesStayBytes) {
  const LayerIndex index = extract(pax({{"path", "Főt\xc3\xa9"}}) + member("x", '0') +
                                   pax({{"path", "\xff\xfe"}, {"linkpath", "\xe9"}}) +
                                   member("y", '2') + member("\xe9t\xe9", '0') + kEnd);
  EXPECT_THAT(paths(index), ElementsAre("Főt\xc3\xa9", "\xe9t\xe9", "\xff\xfe"));
  EXPECT_EQ(index.find("\xff\xfe")->link_target, "\xe9");
}

TEST_F(TarExtractTest, AbsurdNamesAndOwnersAreRefused) {
  std::string deep;
  for (int i = 0; i < 2100; ++i) deep += "d/";
  EXPECT_THAT(failure(pax({{"path", deep + "f"}}) + member("x", '0')), HasSubstr("4095"));
  EXPECT_THAT(failure(pax({{"uid", "-7"}}) + member("x", '0')), HasSubstr("owner"));
  EXPECT_THAT(failure(pax({{"uid", "4294967295"}}) + member("x", '0')), HasSubstr("owner"));
  EXPECT_THROW(extract(pax({{"path", std::string(300, 'n')}}) + member("x", '0') + kEnd), Error);
}

TEST_F(TarExtractTest, SparseFilesKeepTheirHolesAndHashTheirZeros) {
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

TEST_F(TarExtractTest, SparseFilesOfAbsurdSizeAreRefused) {
  const std::string map = "1\n0\n3\n";
  EXPECT_THAT(
      failure(pax({{"GNU.sparse.major", "1"},
                   {"GNU.sparse.minor", "0"},
                   {"GNU.sparse.name", "s"},
                   {"GNU.sparse.realsize", "9000000000000000000"}}) +
              member("GNUSparseFile.0/s", '0', map + std::string(512 - map.size(), '\0') + "abc")),
      HasSubstr("absurd"));
}

TEST_F(TarExtractTest, NewFilesDoNotInheritTheDirectorysGroup) {
  temp_ = TempDir::create("/tmp", "lade-test-");
  ASSERT_EQ(::chown(temp_.path().c_str(), 0, 1234), 0);
  ASSERT_EQ(::chmod(temp_.path().c_str(), 02755), 0);
  dir_ = sys::open(temp_.path(), O_RDONLY | O_DIRECTORY);
  StringSource source(member("d/f", '0') + member("s", '2', "", "t") + kEnd);
  expect_matches_disk(extract_tar(source, dir_.get(), TarDialect::layer));
}

TEST_F(TarExtractTest, ModesDoNotDependOnTheUmask) {
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
