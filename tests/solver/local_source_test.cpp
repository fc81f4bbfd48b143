// The build context: scanned once, hashed when asked, checked when copied.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"
#include "solver/ops/file_op.hpp"
#include "solver/source/local.hpp"
#include "solver_fixture.hpp"
#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::HasSubstr;

class LocalSourceTest : public StateTest {
 protected:
  static std::vector<std::string> paths(const Tree& tree) {
    std::vector<std::string> out;
    tree.index().walk("", [&](const Found& found) {
      out.push_back(found.path);
      return true;
    });
    return out;
  }

  static void rewrite(const std::string& path, const std::string& content) {
    const UniqueFd fd = sys::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    sys::write_all(fd.get(), content);
  }

  static Digest digest_of(const Tree& tree, const std::string& path) {
    return tree.content(tree.index().find(path).value());
  }

  LayerStack copy_all(std::shared_ptr<const Tree> tree) {
    const FileOp op{{CopyAction{.source = "/", .destination = "/"}}};
    return {run_file_op(layers(), {}, op, {std::move(tree)})};
  }
};

TEST_F(LocalSourceTest, EverythingBelongsToRootAndKeepsModeTimeAndLinks) {
  const auto tree =
      scan(context({{.path = "d/", .mode = 0700, .uid = 3},
                    {.path = "d/f", .content = "x", .mode = 04750, .uid = 5, .gid = 6, .mtime = 77},
                    {.path = "l", .link = "../x"}}));
  const Entry file = *tree->index().find("d/f")->entry;
  EXPECT_EQ(file.mode, 04750u);
  EXPECT_EQ(file.uid, 0u);
  EXPECT_EQ(file.gid, 0u);
  EXPECT_EQ(file.mtime_sec, 77);
  EXPECT_EQ(file.size, 1u);
  EXPECT_EQ(tree->index().find("l")->entry->link_target, "../x");
  EXPECT_EQ(tree->index().find("d")->entry->uid, 0u);
}

TEST_F(LocalSourceTest, HardLinksAreOneGroup) {
  const auto tree =
      scan(context({{.path = "a"}, {.path = "b", .hardlink_to = "a"}, {.path = "c"}}));
  const auto group = [&](const char* path) {
    return tree->index().find(path)->entry->hardlink_group;
  };
  EXPECT_NE(group("a"), 0u);
  EXPECT_EQ(group("a"), group("b"));
  EXPECT_EQ(group("c"), 0u);
}

TEST_F(LocalSourceTest, SocketsAreEmptyFiles) {
  const std::string path = context({{.path = "f"}});
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string name = path + "/s";
  std::copy(name.begin(), name.end(), address.sun_path);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const auto tree = scan(path);
  EXPECT_THAT(paths(*tree), ElementsAre("f", "s"));
  const Found socket = *tree->index().find("s");
  EXPECT_EQ(socket.entry->type, EntryType::regular);
  EXPECT_EQ(socket.entry->size, 0u);
  EXPECT_EQ(tree->content(socket), Digest::of(""));
  EXPECT_EQ(sys::fstat(tree->open(socket).get()).st_size, 0);
}

TEST_F(LocalSourceTest, DockerignoreLeavesOutAndTakesBack) {
  const std::string path = context({{.path = "a.o"},
                                    {.path = "build/deep/x"},
                                    {.path = "build/keep/me"},
                                    {.path = "build/other"},
                                    {.path = "src/a.o"},
                                    {.path = "src/b.c"}});
  EXPECT_THAT(paths(*scan(path, {"*.o"})),
              ElementsAre("build", "build/deep", "build/deep/x", "build/keep", "build/keep/me",
                          "build/other", "src", "src/a.o", "src/b.c"));
  EXPECT_THAT(paths(*scan(path, {"**/*.o", "build"})), ElementsAre("src", "src/b.c"));
  EXPECT_THAT(paths(*scan(path, {"**/*.o", "build", "!build/keep"})),
              ElementsAre("build", "build/keep", "build/keep/me", "src", "src/b.c"));
  EXPECT_THAT(paths(*scan(path, {"*", "!src/*.c"})), ElementsAre("src", "src/b.c"));
  EXPECT_THAT(paths(*scan(path, {"build", "!build/none"})),
              ElementsAre("a.o", "src", "src/a.o", "src/b.c"));
}

TEST_F(LocalSourceTest, MissingFilesAreExplained) {
  const auto tree = scan(context({{.path = "src/main.c"}, {.path = "secret"}}), {"secret"});
  EXPECT_EQ(tree->missing_hint("/src/mian.c"), "did you mean /src/main.c?");
  EXPECT_EQ(tree->missing_hint("/secret"),
            "it exists but is excluded by .dockerignore:1 ('secret')");
  EXPECT_EQ(tree->missing_hint("/nowhere/at/all"), "");
}

TEST_F(LocalSourceTest, TheLineThatDecidesIsNamed) {
  const std::string path = context({{.path = "dir/secret"}});
  const auto line = [&](std::vector<std::string> patterns) {
    const std::string hint = scan(path, std::move(patterns))->missing_hint("/dir/secret");
    return hint.substr(hint.find(':') + 1);
  };
  EXPECT_EQ(line({"other", "dir/secret", "*.x"}), "2 ('dir/secret')");
  EXPECT_EQ(line({"dir", "dir/secret"}), "1 ('dir')");
  EXPECT_EQ(line({"dir", "!dir/secret", "**/secret"}), "3 ('**/secret')");
}

TEST_F(LocalSourceTest, AMissingDirectoryIsAnErrorNamingIt) {
  EXPECT_THAT(error_of([&] { scan(dir_.path() + "/nowhere"); }), HasSubstr("nowhere"));
}

TEST_F(LocalSourceTest, ContentIsTheFilesDigest) {
  const auto tree = scan(context({{.path = "f", .content = "hello"}, {.path = "e"}}));
  EXPECT_EQ(digest_of(*tree, "f"), Digest::of("hello"));
  EXPECT_EQ(digest_of(*tree, "e"), Digest::of(""));
}

TEST_F(LocalSourceTest, RewritingAFileOfTheSameSizeNeverYieldsAnOldDigest) {
  const std::string path = context({{.path = "f", .content = "0000"}});
  for (int i = 0; i < 1000; ++i) {
    const std::string content = fmt::format("{:04}", i);
    rewrite(path + "/f", content);
    ASSERT_EQ(digest_of(*scan(path), "f"), Digest::of(content)) << "rewrite " << i;
  }
}

TEST_F(LocalSourceTest, ARewriteThatPutsTheTimeBackIsSeen) {
  const std::string path = context({{.path = "f", .content = "aaaa", .mtime = 1000}});
  ::usleep(50'000);  // old enough to be remembered
  EXPECT_EQ(digest_of(*scan(path), "f"), Digest::of("aaaa"));
  rewrite(path + "/f", "bbbb");
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (path + "/f").c_str(), times, 0), 0);
  EXPECT_EQ(digest_of(*scan(path), "f"), Digest::of("bbbb"));
}

TEST_F(LocalSourceTest, UnchangedFilesAreNotReadAgain) {
  const std::string path = context({{.path = "f", .content = "aaaa", .mtime = 1000}});
  ::usleep(50'000);
  digest_of(*scan(path), "f");
  // Whatever could be read now, the remembered digest is what counts.
  const auto tree = scan(path);
  ASSERT_EQ(::rename((path + "/f").c_str(), (path + "/g").c_str()), 0);
  EXPECT_EQ(digest_of(*tree, "f"), Digest::of("aaaa"));
}

TEST_F(LocalSourceTest, FilesDatedInTheFutureAreNotReadAgain) {
  const std::string path = context({{.path = "f", .content = "aaaa", .mtime = 4'000'000'000}});
  ::usleep(50'000);
  digest_of(*scan(path), "f");
  const auto tree = scan(path);
  ASSERT_EQ(::rename((path + "/f").c_str(), (path + "/g").c_str()), 0);
  EXPECT_EQ(digest_of(*tree, "f"), Digest::of("aaaa"));
}

TEST_F(LocalSourceTest, XattrsAndLinksAreReadAgainOnlyWhenTheyChange) {
  const std::string path = context({{.path = "f", .content = "aaaa"}});
  ASSERT_EQ(::symlink("old", (path + "/l").c_str()), 0);
  ASSERT_EQ(::setxattr((path + "/f").c_str(), "user.x", "1", 1, 0), 0);
  ::usleep(50'000);
  for (int round = 0; round < 2; ++round) {  // read, and remembered
    const auto tree = scan(path);
    EXPECT_EQ(tree->index().find("l")->entry->link_target, "old");
    EXPECT_EQ(tree->index().find("f")->entry->xattrs, (std::vector<sys::Xattr>{{"user.x", "1"}}));
  }
  ASSERT_EQ(::setxattr((path + "/f").c_str(), "user.x", "2", 1, 0), 0);
  ASSERT_EQ(::unlink((path + "/l").c_str()), 0);
  ASSERT_EQ(::symlink("new", (path + "/l").c_str()), 0);
  const auto tree = scan(path);
  EXPECT_EQ(tree->index().find("l")->entry->link_target, "new");
  EXPECT_EQ(tree->index().find("f")->entry->xattrs, (std::vector<sys::Xattr>{{"user.x", "2"}}));
}

TEST_F(LocalSourceTest, SelectionsHoldUntilAnythingChanges) {
  const std::string path = context({{.path = "d/f", .content = "aaaa"}, {.path = "g"}});
  ASSERT_EQ(::symlink("g", (path + "/l").c_str()), 0);
  const Digest question = Digest::of("question");
  const std::vector<std::function<int()>> changes = {
      [&] { return rewrite(path + "/d/f", "bbbb"), 0; },
      [&] { return rewrite(path + "/d/new", ""), 0; },
      [&] { return ::unlink((path + "/d/new").c_str()); },
      [&] { return ::chmod((path + "/g").c_str(), 0600); },
      [&] { return ::setxattr((path + "/g").c_str(), "user.x", "1", 1, 0); },
      [&] { return ::rename((path + "/g").c_str(), (path + "/h").c_str()); },
      [&] { return ::unlink((path + "/l").c_str()) + ::symlink("h", (path + "/l").c_str()); },
      [&] { return ::mkdir((path + "/empty").c_str(), 0755); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    ::usleep(50'000);
    const Digest answer = Digest::of(fmt::format("answer {}", i));
    scan(path)->remember_selection(question, answer);
    EXPECT_EQ(scan(path)->known_selection(question), answer) << i;
    EXPECT_EQ(scan(path)->known_selection(question), answer) << "unchanged twice " << i;
    EXPECT_EQ(scan(path)->known_selection(Digest::of("other")), std::nullopt);
    ASSERT_EQ(changes[i](), 0) << i;
    EXPECT_EQ(scan(path)->known_selection(question), std::nullopt) << i;
  }
}

TEST_F(LocalSourceTest, NothingIsSaidOfATreeThatChangedJustNow) {
  const std::string path = context({{.path = "f", .content = "aaaa"}});
  for (int i = 0; i < 50; ++i) {
    rewrite(path + "/f", fmt::format("{:04}", i));
    const auto tree = scan(path);
    EXPECT_EQ(tree->known_selection(Digest::of("q")), std::nullopt);
    tree->remember_selection(Digest::of("q"), Digest::of("a"));
  }
}

TEST_F(LocalSourceTest, AFileThatChangedBeforeItWasHashedIsTakenAsItIsNow) {
  const std::string path = context({{.path = "f", .content = "aaaa"}, {.path = "g"}});
  const auto tree = scan(path);
  rewrite(path + "/f", "longer now");
  EXPECT_EQ(digest_of(*tree, "f"), Digest::of("longer now"));
  rewrite(path + "/f", "and something else");
  const LayerStack made = copy_all(tree);
  EXPECT_EQ(content(made, "f"), "longer now");
  EXPECT_EQ(entry(made, "f").size, 10u);
  // Which nothing is remembered of.
  EXPECT_EQ(digest_of(*scan(path), "f"), Digest::of("and something else"));
}

TEST_F(LocalSourceTest, SelectionsOfAFileThatChangedAreThoseOfItsBytes) {
  const FileOp op{{CopyAction{.source = "/", .destination = "/"}}};
  const std::string path = context({{.path = "f", .content = "aaaa"}});
  const auto changed = scan(path);
  rewrite(path + "/f", "longer now");
  const Digest selection = file_op_selection(op, {changed});
  EXPECT_EQ(selection, file_op_selection(op, {scan(path)}));
}

TEST_F(LocalSourceTest, AFileThatGrewIsTakenAsFarAsItWasHashed) {
  const std::string path = context({{.path = "f", .content = "aaaa"}});
  const auto tree = scan(path);
  digest_of(*tree, "f");
  rewrite(path + "/f", "aaaabbbb");
  EXPECT_EQ(content(copy_all(tree), "f"), "aaaa");
}

TEST_F(LocalSourceTest, AnUnsteadyFileIsKeptAsItWasHashed) {
  const std::string path = context({{.path = "f", .content = "aaaa"}});
  sys::make_dirs(state_->root() + "/stat-cache", 0700);
  const auto tree = scan_local({.directory = path,
                                .name = "the build context",
                                .ignore_patterns = {},
                                .ignore_file = {},
                                .ignore_lines = {},
                                .cache_dir = state_->root() + "/stat-cache",
                                .unsteady = {"f"}});
  digest_of(*tree, "f");
  rewrite(path + "/f", "bbbb");
  EXPECT_EQ(content(copy_all(tree), "f"), "aaaa");
}

TEST_F(LocalSourceTest, AFileThatIsGoneOrReplacedAfterTheScanIsAnError) {
  const std::string path = context({{.path = "f", .content = "aaaa"}});
  const auto gone = scan(path);
  ASSERT_EQ(::unlink((path + "/f").c_str()), 0);
  EXPECT_THAT(error_of([&] { copy_all(gone); }), HasSubstr("'f' changed while building"));
  rewrite(path + "/f", "aaaa");
  const auto replaced = scan(path);
  ASSERT_EQ(::unlink((path + "/f").c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", (path + "/f").c_str()), 0);
  EXPECT_NE(error_of([&] { copy_all(replaced); }), "");
  ASSERT_EQ(::unlink((path + "/f").c_str()), 0);
  rewrite(path + "/f", "aaaa");
  const auto pipe = scan(path);
  ASSERT_EQ(::unlink((path + "/f").c_str()), 0);
  ASSERT_EQ(::mkfifo((path + "/f").c_str(), 0644), 0);
  EXPECT_NE(error_of([&] { copy_all(pipe); }), "");
}

TEST_F(LocalSourceTest, AFileThatChangedBetweenHashingAndCopyingIsAnError) {
  const std::string path = context({{.path = "f", .content = "aaaa"}});
  const auto tree = scan(path);
  digest_of(*tree, "f");
  rewrite(path + "/f", "bbbb");
  EXPECT_EQ(
      error_of([&] { copy_all(tree); }),
      "'f' changed while building\nhint: build again, when nothing writes to the build context");
  EXPECT_THROW(copy_all(tree), ChangedContext);
}

TEST_F(LocalSourceTest, CopyingDoesNotLeaveTheContextThroughASwappedDirectory) {
  const std::string path = context({{.path = "d/f", .content = "aaaa"}});
  const auto tree = scan(path);
  const std::string outside = context({{.path = "f", .content = "bbbb"}}, "outside");
  ASSERT_EQ(::rename((path + "/d").c_str(), (path + "/e").c_str()), 0);
  ASSERT_EQ(::symlink(outside.c_str(), (path + "/d").c_str()), 0);
  EXPECT_NE(error_of([&] { copy_all(tree); }), "");
}

}  // namespace
}  // namespace lade
