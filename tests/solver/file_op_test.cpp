// COPY, ADD and WORKDIR on real layers.
#include "solver/ops/file_op.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "snapshotter/tar/tar.hpp"
#include "solver_fixture.hpp"
#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Lines = std::vector<std::string>;

class FileOpTest : public StateTest {
 protected:
  /// Applies one copy from a context with `files` on top of `base`; returns the whole stack.
  LayerStack copy(const std::vector<File>& files, CopyAction action, LayerStack base = {}) {
    return apply(FileOp{{std::move(action)}}, scan(context(files)), std::move(base));
  }

  LayerStack apply(const FileOp& op, std::shared_ptr<const Tree> tree, LayerStack base = {}) {
    base.push_back(run_file_op(layers(), base, op, {std::move(tree)}));
    return base;
  }

  static CopyAction action(const std::string& source, const std::string& destination) {
    return {.source = source, .destination = destination};
  }

  /// passwd and group of an image.
  LayerId users() {
    return layer({{.path = "etc/passwd", .content = "root:x:0:0::/:/bin/sh\nme:x:7:8::/:/bin/sh\n"},
                  {.path = "etc/group", .content = "root:x:0:\nus:x:9:\n"}});
  }
};

// -- destinations

struct DestinationCase {
  const char* source;
  const char* destination;
  Lines expected;
};

TEST_F(FileOpTest, DestinationsFollowDockersRules) {
  const std::vector<File> files = {{.path = "f", .content = "1"}, {.path = "d/g", .content = "2"}};
  const DestinationCase cases[] = {
      {"/f", "/x", {"f 644 0:0 x = 1"}},
      {"/f", "/", {"f 644 0:0 f = 1"}},
      {"/f", "/x/", {"d 755 0:0 x", "f 644 0:0 x/f = 1"}},
      {"/f", "/x/y", {"d 755 0:0 x", "f 644 0:0 x/y = 1"}},
      {"/d", "/x", {"d 755 0:0 x", "f 644 0:0 x/g = 2"}},
      {"/d", "/x/", {"d 755 0:0 x", "f 644 0:0 x/g = 2"}},
      {"/d", "/", {"f 644 0:0 g = 2"}},
      {"/", "/x", {"d 755 0:0 x", "d 755 0:0 x/d", "f 644 0:0 x/d/g = 2", "f 644 0:0 x/f = 1"}},
      {"/d/g", "/x/", {"d 755 0:0 x", "f 644 0:0 x/g = 2"}},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(view(copy(files, action(c.source, c.destination))), c.expected)
        << c.source << " to " << c.destination;
  }
}

TEST_F(FileOpTest, AFileGoesIntoAnExistingDirectory) {
  const LayerId base = layer({{.path = "x/"}});
  EXPECT_THAT(view(copy({{.path = "f", .content = "1"}}, action("/f", "/x"), {base})),
              ElementsAre("d 755 0:0 x", "f 644 0:0 x/f = 1"));
}

TEST_F(FileOpTest, AFileReplacesAFileAndALink) {
  const LayerId base = layer(
      {{.path = "f", .content = "old"}, {.path = "t", .content = "t"}, {.path = "l", .link = "t"}});
  const std::vector<File> files = {{.path = "f", .content = "new"},
                                   {.path = "l", .content = "new"}};
  // Named directly, a link is followed; met in a directory, it is replaced.
  EXPECT_THAT(view(copy(files, action("/", "/"), {base})),
              ElementsAre("f 644 0:0 f = new", "f 644 0:0 l = new", "f 644 0:0 t = t"));
}

TEST_F(FileOpTest, TypesInTheWayAreErrors) {
  const LayerId base = layer({{.path = "dir/sub/"}, {.path = "file", .content = "x"}});
  const std::vector<File> files = {
      {.path = "f"}, {.path = "d/sub", .content = "file"}, {.path = "e/file/x"}};
  EXPECT_THAT(error_of([&] { copy(files, action("/d", "/dir"), {base}); }),
              HasSubstr("cannot replace to directory /dir/sub with file"));
  EXPECT_THAT(error_of([&] { copy(files, action("/e", "/"), {base}); }),
              HasSubstr("cannot copy to non-directory: /file"));
  EXPECT_THAT(error_of([&] { copy(files, action("/f", "/file/x"), {base}); }),
              HasSubstr("cannot copy to non-directory: /file"));
  EXPECT_THAT(error_of([&] { copy(files, action("/f", "/file/"), {base}); }),
              HasSubstr("cannot copy to non-directory: /file"));
  EXPECT_THAT(error_of([&] { copy(files, action("/d", "/file"), {base}); }),
              HasSubstr("cannot copy to non-directory: /file"));
}

TEST_F(FileOpTest, LinksInTheDestinationResolveInsideTheRoot) {
  const LayerId base = layer({{.path = "usr/bin/"},
                              {.path = "bin", .link = "usr/bin"},
                              {.path = "abs", .link = "/usr"},
                              {.path = "out", .link = "../../../usr"},
                              {.path = "dangling", .link = "/made"}});
  const auto path_of = [&](const std::string& destination) {
    const LayerStack stack =
        copy({{.path = "f", .content = "1"}}, action("/f", destination), {base});
    for (const auto& line : own(stack.back())) {
      if (line.starts_with("f ")) return line;
    }
    return std::string();
  };
  EXPECT_EQ(path_of("/bin/x"), "f 644 0:0 usr/bin/x = 1");
  EXPECT_EQ(path_of("/bin/"), "f 644 0:0 usr/bin/f = 1");
  EXPECT_EQ(path_of("/bin"), "f 644 0:0 usr/bin/f = 1");
  EXPECT_EQ(path_of("/abs/bin/x"), "f 644 0:0 usr/bin/x = 1");
  EXPECT_EQ(path_of("/out/x"), "f 644 0:0 usr/x = 1");
  EXPECT_EQ(path_of("/dangling/x"), "f 644 0:0 made/x = 1");
}

TEST_F(FileOpTest, WithLinkNothingInTheDestinationResolves) {
  CopyAction linked = action("/f", "/bin/x");
  linked.follow_destination = false;
  EXPECT_THAT(view(copy({{.path = "f", .content = "1"}}, linked)),
              ElementsAre("d 755 0:0 bin", "f 644 0:0 bin/x = 1"));
}

TEST_F(FileOpTest, LoopsOfLinksAreErrors) {
  const LayerId base = layer({{.path = "a", .link = "b"}, {.path = "b", .link = "a"}});
  EXPECT_THAT(error_of([&] { copy({{.path = "f"}}, action("/f", "/a/x"), {base}); }),
              HasSubstr("too many symbolic links"));
}

// -- metadata

TEST_F(FileOpTest, FilesKeepModeAndTimeAndBelongToRoot) {
  const auto stack = copy({{.path = "d/", .mode = 0700, .mtime = 500},
                           {.path = "d/f", .mode = 04755, .uid = 5, .gid = 6, .mtime = 1234}},
                          action("/d", "/x"));
  const Entry file = entry(stack, "x/f");
  EXPECT_EQ(file.mode, 04755u);
  EXPECT_EQ(file.uid, 0u);
  EXPECT_EQ(file.gid, 0u);
  EXPECT_EQ(file.mtime_sec, 1234);
  // A new destination is a plain directory with the source's time.
  EXPECT_EQ(entry(stack, "x").mode, 0755u);
  EXPECT_EQ(entry(stack, "x").mtime_sec, 500);
}

TEST_F(FileOpTest, CopiesFromLayersKeepTheirOwners) {
  const LayerId source =
      layer({{.path = "d/f", .mode = 0600, .uid = 5, .gid = 6}, {.path = "d/s", .link = "/x"}});
  const auto stack = apply(FileOp{{action("/d", "/y")}}, stack_tree(layers(), {source}));
  EXPECT_THAT(view(stack), ElementsAre("d 755 0:0 y", "f 600 5:6 y/f = ", "l y/s -> /x"));
}

TEST_F(FileOpTest, NestedDirectoriesOfTheSameNameTakeTheSourcesMetadataAndTheRootKeepsItsOwn) {
  const LayerId base =
      layer({{.path = "x/", .mode = 0711, .uid = 3}, {.path = "x/sub/", .mode = 0711, .uid = 3}});
  const auto stack = copy({{.path = "d/", .mode = 0700}, {.path = "d/sub/", .mode = 0750}},
                          action("/d", "/x"), {base});
  EXPECT_THAT(view(stack), ElementsAre("d 711 3:0 x", "d 750 0:0 x/sub"));
}

TEST_F(FileOpTest, ReplicatedParentsKeepTheirMetadata) {
  const LayerId base = layer({{.path = "a/", .mode = 0711, .uid = 3, .gid = 4, .mtime = 777},
                              {.path = "a/b/", .mode = 01777, .mtime = 888}});
  const auto stack = copy({{.path = "f"}}, action("/f", "/a/b/f"), {base});
  EXPECT_THAT(own(stack.back()),
              ElementsAre("d 711 3:4 a", "d 1777 0:0 a/b", "f 644 0:0 a/b/f = "));
  EXPECT_EQ(entry(stack, "a").mtime_sec, 777);
  EXPECT_EQ(entry(stack, "a/b").mtime_sec, 888);
}

TEST_F(FileOpTest, OwnersByNameNumberAndGroup) {
  const LayerId base = users();
  const std::pair<const char*, const char*> cases[] = {
      {"me", "7:8"},   {"me:us", "7:9"},   {"7", "7:7"},
      {"12", "12:12"}, {"12:34", "12:34"}, {"0:us", "0:9"},
  };
  for (const auto& [owner, expected] : cases) {
    CopyAction chown = action("/f", "/x/y");
    chown.owner = CopyOwner{owner};
    const auto stack = copy({{.path = "f"}}, chown, {base});
    const Entry file = entry(stack, "x/y");
    EXPECT_EQ(fmt::format("{}:{}", file.uid, file.gid), expected) << owner;
    const Entry dir = entry(stack, "x");
    EXPECT_EQ(fmt::format("{}:{}", dir.uid, dir.gid), expected)
        << "the directory made for " << owner;
  }
}

TEST_F(FileOpTest, AnUnknownOwnerIsRoot) {
  CopyAction chown = action("/f", "/x");
  chown.owner = CopyOwner{"nobody-here"};
  EXPECT_THAT(own(copy({{.path = "f"}}, chown, {users()}).back()), ElementsAre("f 644 0:0 x = "));
}

TEST_F(FileOpTest, ModesAreOctalForAllOrSymbolicEach) {
  const std::vector<File> files = {{.path = "d/exe", .mode = 0755},
                                   {.path = "d/l", .link = "exe"},
                                   {.path = "d/sub/"},
                                   {.path = "d/text", .mode = 0640}};
  CopyAction chmod = action("/d", "/x");
  chmod.mode = "0711";
  EXPECT_THAT(view(copy(files, chmod)),
              ElementsAre("d 711 0:0 x", "f 711 0:0 x/exe = ", "l x/l -> exe", "d 711 0:0 x/sub",
                          "f 711 0:0 x/text = "));
  chmod.mode = "u=rwX,go=rX";
  EXPECT_THAT(view(copy(files, chmod)),
              ElementsAre("d 755 0:0 x", "f 755 0:0 x/exe = ", "l x/l -> exe", "d 755 0:0 x/sub",
                          "f 644 0:0 x/text = "));
}

// -- what is copied

TEST_F(FileOpTest, LinksNamedDirectlyAreFollowedAndNestedOnesKept) {
  const std::vector<File> files = {{.path = "d/f", .content = "1"},
                                   {.path = "d/l", .link = "f"},
                                   {.path = "to-dir", .link = "d"},
                                   {.path = "to-file", .link = "d/f"}};
  EXPECT_THAT(view(copy(files, action("/to-file", "/x"))), ElementsAre("f 644 0:0 x = 1"));
  EXPECT_THAT(view(copy(files, action("/to-dir", "/x"))),
              ElementsAre("d 755 0:0 x", "f 644 0:0 x/f = 1", "l x/l -> f"));
}

TEST_F(FileOpTest, HardLinksWithinACopyStayOneFile) {
  const auto stack = copy({{.path = "d/a", .content = "1"},
                           {.path = "d/b", .hardlink_to = "d/a"},
                           {.path = "d/c", .content = "1"}},
                          action("/d", "/x"));
  EXPECT_NE(entry(stack, "x/a").hardlink_group, 0u);
  EXPECT_EQ(entry(stack, "x/a").hardlink_group, entry(stack, "x/b").hardlink_group);
  EXPECT_EQ(entry(stack, "x/c").hardlink_group, 0u);
  struct stat info{};
  ASSERT_EQ(::stat((layers().directory(stack.back()) + "/x/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_nlink, 2u);
}

TEST_F(FileOpTest, AHardLinkToAFileThatWasOverwrittenKeepsItsContent) {
  const std::vector<File> files = {{.path = "d1/f", .content = "one"},
                                   {.path = "d2/f", .content = "two"},
                                   {.path = "d3/g", .hardlink_to = "d1/f"}};
  EXPECT_THAT(view(copy(files, action("/d*", "/x/"))),
              ElementsAre("d 755 0:0 x", "f 644 0:0 x/f = two", "f 644 0:0 x/g = one"));
}

TEST_F(FileOpTest, LaterActionsSeeEarlierOnes) {
  FileOp op{{action("/a", "/x/"), action("/b", "/x")}};
  EXPECT_THAT(
      view(
          apply(op, scan(context({{.path = "a", .content = "1"}, {.path = "b", .content = "2"}})))),
      ElementsAre("d 755 0:0 x", "f 644 0:0 x/a = 1", "f 644 0:0 x/b = 2"));
}

TEST_F(FileOpTest, EmptyDirectoriesAndFifosAreCopied) {
  const std::string path = context({{.path = "d/empty/"}});
  ASSERT_EQ(::mkfifo((path + "/d/fifo").c_str(), 0600), 0);
  const auto stack = apply(FileOp{{action("/d", "/x")}}, scan(path));
  EXPECT_THAT(view(stack), ElementsAre("d 755 0:0 x", "d 755 0:0 x/empty", "? 600 0:0 x/fifo"));
}

// -- files and directories that come with the graph

TEST_F(FileOpTest, MadeFilesAre0644OrAsAsked) {
  MakeFileAction plain{.name = "EOF", .content = "text\n", .destination = "/d/"};
  MakeFileAction strict{
      .name = "b", .content = "x", .destination = "/e", .owner = CopyOwner{"1:2"}, .mode = "700"};
  EXPECT_THAT(view(apply(FileOp{{plain, strict}}, nullptr)),
              ElementsAre("d 755 0:0 d", "f 644 0:0 d/EOF = text\n", "f 700 1:2 e = x"));
}

TEST_F(FileOpTest, WorkdirMakesWhatIsMissingAndTouchesNothingElse) {
  const LayerId base =
      layer({{.path = "a/", .mode = 0700, .uid = 3, .mtime = 5}, {.path = "l", .link = "a"}});
  MakeDirAction made{.path = "/l/b/c", .owner = CopyOwner{"7:8"}, .mtime = 99};
  const auto stack = apply(FileOp{{made}}, nullptr, {base});
  EXPECT_THAT(view(stack),
              ElementsAre("d 700 3:0 a", "d 755 7:8 a/b", "d 755 7:8 a/b/c", "l l -> a"));
  EXPECT_EQ(entry(stack, "a/b/c").mtime_sec, 99);
  EXPECT_EQ(entry(stack, "a").mtime_sec, 5);
  MakeDirAction existing{.path = "/a", .owner = CopyOwner{"7:8"}, .mtime = 99};
  EXPECT_THAT(own(apply(FileOp{{existing}}, nullptr, {base}).back()), IsEmpty());
}

TEST_F(FileOpTest, WorkdirOverAFileIsAnError) {
  const LayerId base = layer({{.path = "a"}});
  MakeDirAction made{.path = "/a/b", .owner = {}, .mtime = {}};
  EXPECT_THAT(error_of([&] { apply(FileOp{{made}}, nullptr, {base}); }),
              HasSubstr("cannot copy to non-directory: /a"));
}

// -- archives

class ArchiveTest : public FileOpTest {
 protected:
  /// A tar with what `files` say.
  std::string tar_of(const std::vector<File>& files) {
    const LayerId made = layer(files);
    StringSink out;
    write_layer_tar(
        *layers().hashed_index(made),
        [&](const Entry& one) { return layers().open_entry(made, one); }, out);
    return out.take();
  }
  static CopyAction add(const std::string& source, const std::string& destination) {
    CopyAction out = action(source, destination);
    out.unpack = true;
    return out;
  }
};

TEST_F(ArchiveTest, AddUnpacksIntoTheDestination) {
  const std::string tar = tar_of({{.path = "d/", .mode = 0700, .uid = 5},
                                  {.path = "d/f", .content = "1", .gid = 6},
                                  {.path = "d/h", .hardlink_to = "d/f"},
                                  {.path = "l", .link = "d/f"}});
  const auto stack = copy({{.path = "a.tar", .content = tar}}, add("/a.tar", "/x"));
  EXPECT_THAT(view(stack), ElementsAre("d 755 0:0 x", "d 700 5:0 x/d", "f 644 0:6 x/d/f = 1",
                                       "f 644 0:6 x/d/h = 1", "l x/l -> d/f"));
  EXPECT_NE(entry(stack, "x/d/f").hardlink_group, 0u);
}

TEST_F(ArchiveTest, ChownReachesUnpackedFiles) {
  CopyAction chown = add("/a.tar", "/x");
  chown.owner = CopyOwner{"7:8"};
  const std::string tar = tar_of({{.path = "f", .content = "1", .uid = 5}});
  EXPECT_THAT(view(copy({{.path = "a.tar", .content = tar}}, chown)),
              ElementsAre("d 755 7:8 x", "f 644 7:8 x/f = 1"));
}

TEST_F(ArchiveTest, CopyAndAddWithoutUnpackKeepTheArchive) {
  const std::string tar = tar_of({{.path = "f"}});
  const auto stack = copy({{.path = "a.tar", .content = tar}}, action("/a.tar", "/x"));
  EXPECT_EQ(content(stack, "x"), tar);
}

TEST_F(ArchiveTest, WhatOnlyLooksLikeAnArchiveIsCopied) {
  for (const std::string& bytes : {std::string("plain text"), std::string(600, '\0'),
                                   std::string("\x1f\x8b\x08 broken"), std::string("BZh91AY"),
                                   std::string("\xfd"
                                               "7zXZ\0\0",
                                               7),
                                   std::string()}) {
    const auto stack = copy({{.path = "f.tar", .content = bytes}}, add("/f.tar", "/x"));
    EXPECT_EQ(content(stack, "x"), bytes);
  }
}

TEST_F(ArchiveTest, UnpackingMergesIntoWhatIsThere) {
  const LayerId base = layer({{.path = "x/d/", .mode = 0711}, {.path = "x/d/old", .content = "0"}});
  const std::string tar = tar_of({{.path = "d/", .mode = 0700}, {.path = "d/new", .content = "1"}});
  EXPECT_THAT(view(copy({{.path = "a", .content = tar}}, add("/a", "/x/"), {base})),
              ElementsAre("d 755 0:0 x", "d 700 0:0 x/d", "f 644 0:0 x/d/new = 1",
                          "f 644 0:0 x/d/old = 0"));
}

// -- files that an earlier run has made

class BorrowTest : public FileOpTest {
 protected:
  static constexpr int64_t kTime = 1'000'000'000;

  ino_t inode(LayerId layer, const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::lstat((layers().directory(layer) + "/" + path).c_str(), &info), 0) << path;
    return info.st_ino;
  }
};

TEST_F(BorrowTest, WhatIsTheSameIsNotWrittenAgain) {
  const std::string path = context({{.path = "d/same", .content = "1", .mtime = kTime},
                                    {.path = "d/text", .content = "1", .mtime = kTime},
                                    {.path = "d/mode", .content = "1", .mtime = kTime},
                                    {.path = "d/time", .content = "1", .mtime = kTime},
                                    {.path = "d/xattr", .content = "1", .mtime = kTime},
                                    {.path = "gone", .content = "1", .mtime = kTime}});
  const FileOp op{{action("/", "/")}};
  const LayerId earlier = run_file_op(layers(), {}, op, {scan(path)});
  const timespec times[2] = {{kTime, 0}, {kTime, 0}};
  {
    const UniqueFd text = sys::open(path + "/d/text", O_WRONLY);
    sys::write_all(text.get(), "2");
    ASSERT_EQ(::futimens(text.get(), times), 0);
  }
  ASSERT_EQ(::chmod((path + "/d/mode").c_str(), 0600), 0);
  ASSERT_EQ(::utimensat(AT_FDCWD, (path + "/d/time").c_str(), nullptr, 0), 0);
  ASSERT_EQ(::setxattr((path + "/d/xattr").c_str(), "user.x", "1", 1, 0), 0);
  ASSERT_EQ(::unlink((path + "/gone").c_str()), 0);

  const LayerId fresh = run_file_op(layers(), {}, op, {scan(path)});
  const LayerId borrowed = run_file_op(layers(), {}, op, {scan(path)}, earlier);
  EXPECT_EQ(layers().index(borrowed)->entries(), layers().index(fresh)->entries());
  EXPECT_THAT(layers().verify(borrowed), IsEmpty());
  EXPECT_THAT(layers().verify(earlier), IsEmpty());
  EXPECT_EQ(inode(borrowed, "d/same"), inode(earlier, "d/same"));
  for (const char* changed : {"d/text", "d/mode", "d/time", "d/xattr"}) {
    EXPECT_NE(inode(borrowed, changed), inode(earlier, changed)) << changed;
  }
}

TEST_F(BorrowTest, ManyFilesOfManyDirectoriesAreAllThere) {
  std::vector<File> files;
  for (int i = 0; i < 2000; ++i) {
    const std::string name =
        i < 1200 ? fmt::format("large/{}", i) : fmt::format("d{}/{}", i % 7, i);
    files.push_back({.path = name, .content = name, .mtime = kTime});
  }
  const std::string path = context(files);
  const FileOp op{{action("/", "/")}};
  const LayerId earlier = run_file_op(layers(), {}, op, {scan(path)});
  sys::write_file_atomically(path + "/large/700", "new", 0644);
  const LayerId fresh = run_file_op(layers(), {}, op, {scan(path)});
  const LayerId borrowed = run_file_op(layers(), {}, op, {scan(path)}, earlier);
  EXPECT_EQ(layers().index(borrowed)->entries(), layers().index(fresh)->entries());
  EXPECT_THAT(layers().verify(borrowed), IsEmpty());
  for (const char* same : {"large/0", "large/1199", "d0/1204", "d4/1999"}) {
    EXPECT_EQ(inode(borrowed, same), inode(earlier, same)) << same;
  }
  EXPECT_NE(inode(borrowed, "large/700"), inode(earlier, "large/700"));
}

TEST_F(BorrowTest, WhatAStepIsToSeeIsCopied) {
  const std::string path = context({{.path = "d/a", .content = "1", .mode = 04755, .mtime = kTime},
                                    {.path = "d/b", .content = "2", .mtime = kTime}});
  ASSERT_EQ(::setxattr((path + "/d/a").c_str(), "user.x", "1", 1, 0), 0);
  const FileOp op{{action("/", "/")}};
  const LayerId earlier = run_file_op(layers(), {}, op, {scan(path)});
  const auto check = [&](Borrowing how) {
    const LayerId copied = run_file_op(layers(), {}, op, {scan(path)}, earlier, how);
    EXPECT_EQ(layers().index(copied)->entries(), layers().index(earlier)->entries());
    EXPECT_THAT(layers().verify(copied), IsEmpty());
    EXPECT_NE(inode(copied, "d/a"), inode(earlier, "d/a"));
    EXPECT_NE(inode(copied, "d/b"), inode(earlier, "d/b"));
  };
  check(Borrowing::copy);
  // Or sees already.
  layers().overlay({earlier}, nullptr);
  check(Borrowing::link);
}

TEST_F(BorrowTest, AFileThatCannotBeLinkedIsCopied) {
  const std::string path = context({{.path = "d/a", .content = "1", .mode = 04755, .mtime = kTime},
                                    {.path = "d/b", .content = "2", .mtime = kTime}});
  ASSERT_EQ(::setxattr((path + "/d/a").c_str(), "user.x", "1", 1, 0), 0);
  const FileOp op{{action("/", "/")}};
  const LayerId earlier = run_file_op(layers(), {}, op, {scan(path)});
  // As one with too many links: nobody may link an immutable file.
  const UniqueFd file = sys::open(layers().directory(earlier) + "/d/a", O_RDONLY);
  int flags = FS_IMMUTABLE_FL;
  if (::ioctl(file.get(), FS_IOC_SETFLAGS, &flags) != 0) GTEST_SKIP() << "no immutable files here";
  const LayerId borrowed = run_file_op(layers(), {}, op, {scan(path)}, earlier);
  flags = 0;
  ASSERT_EQ(::ioctl(file.get(), FS_IOC_SETFLAGS, &flags), 0);
  EXPECT_EQ(layers().index(borrowed)->entries(), layers().index(earlier)->entries());
  EXPECT_THAT(layers().verify(borrowed), IsEmpty());
  EXPECT_NE(inode(borrowed, "d/a"), inode(earlier, "d/a"));
  EXPECT_EQ(inode(borrowed, "d/b"), inode(earlier, "d/b"));
}

TEST_F(BorrowTest, WhatIsCopiedOverABorrowedFileReplacesIt) {
  const std::string path = context({{.path = "a", .content = "1", .mtime = kTime},
                                    {.path = "b", .content = "2", .mtime = kTime}});
  const FileOp op{{action("/", "/"), action("/b", "/a")}};
  const LayerId earlier = run_file_op(layers(), {}, op, {scan(path)});
  const LayerId again = run_file_op(layers(), {}, op, {scan(path)}, earlier);
  EXPECT_EQ(layers().index(again)->entries(), layers().index(earlier)->entries());
  EXPECT_THAT(layers().verify(again), IsEmpty());
  EXPECT_THAT(layers().verify(earlier), IsEmpty());
}

TEST_F(BorrowTest, HardLinksStayAmongThemselves) {
  const std::string path = context({{.path = "a", .content = "1", .mtime = kTime}});
  ASSERT_EQ(::link((path + "/a").c_str(), (path + "/b").c_str()), 0);
  const FileOp op{{action("/", "/")}};
  const LayerId earlier = run_file_op(layers(), {}, op, {scan(path)});
  const LayerId again = run_file_op(layers(), {}, op, {scan(path)}, earlier);
  EXPECT_EQ(inode(again, "a"), inode(again, "b"));
  EXPECT_NE(inode(again, "a"), inode(earlier, "a"));
  EXPECT_EQ(layers().index(again)->entries(), layers().index(earlier)->entries());
}

TEST_F(BorrowTest, OnlyTheSamePathIsBorrowed) {
  const std::string path = context({{.path = "a", .content = "1", .mtime = kTime}});
  const LayerId earlier = run_file_op(layers(), {}, FileOp{{action("/a", "/x")}}, {scan(path)});
  const LayerId moved =
      run_file_op(layers(), {}, FileOp{{action("/a", "/y")}}, {scan(path)}, earlier);
  EXPECT_NE(inode(moved, "y"), inode(earlier, "x"));
}

}  // namespace
}  // namespace lade
