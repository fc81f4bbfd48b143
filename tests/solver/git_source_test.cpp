// Git sources against repositories that `git daemon`, and a web server for the dumb protocol, give
// on loopback.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/remove_tree.hpp"
#include "base/text.hpp"
#include "solve_fixture.hpp"
#include "solver/lower/remote.hpp"
#include "solver/source/git.hpp"
#include "tests/support/http_server.hpp"

namespace lade {
namespace {

using namespace std::chrono_literals;
using namespace testing_solver;
using test::HttpServer;
using test::HttpServerReply;
using test::HttpServerRequest;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// `git daemon` over a directory; ended with this object.
class GitDaemon {
 public:
  explicit GitDaemon(const std::string& directory) : port_(test::free_port()) {
    // Not through git(1): the daemon itself is the process that is to be ended.
    const std::string program = "/usr/lib/git-core/git-daemon";
    const std::string base = "--base-path=" + directory;
    const std::string port = fmt::format("--port={}", port_);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setpgid(0, 0);
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      ::execl(program.c_str(), program.c_str(), base.c_str(), port.c_str(), "--listen=127.0.0.1",
              "--export-all", "--reuseaddr", "--log-destination=none", directory.c_str(), nullptr);
      ::_exit(127);
    }
  }
  ~GitDaemon() {
    ::kill(-pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  GitDaemon(const GitDaemon&) = delete;
  GitDaemon& operator=(const GitDaemon&) = delete;

  std::string url(const std::string& name) const {
    return fmt::format("git://127.0.0.1:{}/{}", port_, name);
  }

 private:
  int port_;
  pid_t pid_;
};

class GitSourceTest : public SolveTest {
 protected:
  void SetUp() override {
    SolveTest::SetUp();
    if (::access("/usr/lib/git-core/git-daemon", X_OK) != 0)
      GTEST_SKIP() << "needs the package git";
    served_ = dir_.path() + "/served";
    sys::make_dirs(served_);
    make("r");
    commit("r", {{"a", "1"}, {"sub/dir/f", "f"}}, "one");
    daemon_.emplace(served_);
    wait_for_daemon();
  }

  /// Runs git in the work tree of a repository; its trimmed output.
  std::string git(const std::string& repository, std::vector<std::string> args) {
    ProcessSpec spec;
    spec.args = {"git", "-c", "protocol.file.allow=always", "-C", dir_.path() + "/" + repository};
    spec.args.insert(spec.args.end(), args.begin(), args.end());
    const std::string time = fmt::format("{} +0000", time_);
    spec.env = {"PATH=/usr/bin:/bin",    "HOME=/dev/null",          "GIT_CONFIG_NOSYSTEM=1",
                "GIT_AUTHOR_NAME=n",     "GIT_AUTHOR_EMAIL=e",      "GIT_COMMITTER_NAME=n",
                "GIT_COMMITTER_EMAIL=e", "GIT_AUTHOR_DATE=" + time, "GIT_COMMITTER_DATE=" + time};
    const Cancellation none;
    const ProcessResult result = run_process(spec, none);
    EXPECT_EQ(result.exit_code, 0) << join(spec.args, " ") << ": " << result.errors;
    return std::string(trim(result.output));
  }

  void make(const std::string& name) {
    sys::make_dirs(dir_.path() + "/" + name);
    git(name, {"-c", "init.defaultBranch=main", "init", "-q"});
  }

  /// Commits files ("PATH" -> content) and publishes; the commit's hash.
  std::string commit(const std::string& name,
                     const std::vector<std::pair<std::string, std::string>>& files,
                     const std::string& message) {
    for (const auto& [path, content] : files) {
      const std::string full = dir_.path() + "/" + name + "/" + path;
      sys::make_dirs(dir_name(full));
      sys::write_file_atomically(full, content);
    }
    git(name, {"add", "-A"});
    git(name, {"commit", "-q", "--allow-empty", "-m", message});
    publish(name);
    return git(name, {"rev-parse", "HEAD"});
  }

  /// Makes served/NAME.git what the repository is now.
  void publish(const std::string& name) {
    const std::string bare = served_ + "/" + name + ".git";
    sys::remove_tree(AT_FDCWD, bare);
    git(".", {"clone", "-q", "--mirror", name, bare});
    git(".", {"--git-dir=" + bare, "update-server-info"});
  }

  void wait_for_daemon() {
    std::string said;
    for (int i = 0; i < 200; ++i) {
      ProcessSpec spec;
      spec.args = {"git", "ls-remote", daemon_->url("r.git")};
      spec.env = {"PATH=/usr/bin:/bin"};
      const Cancellation none;
      const ProcessResult result = run_process(spec, none);
      if (result.exit_code == 0) return;
      said = result.errors;
      std::this_thread::sleep_for(25ms);
    }
    FAIL() << "git daemon does not answer: " << said;
  }

  Build get(const std::string& text) {
    Graph graph;
    const auto source = graph.add(git_source(*parse_git_reference(text)), {});
    SolveOptions options;
    options.remotes = std::make_shared<RemoteSources>(*state_, remote_);
    return solve(graph, source, std::move(options));
  }
  std::string url(const std::string& rest = "", const std::string& name = "r.git") {
    return daemon_->url(name) + rest;
  }
  std::vector<std::string> files(const std::string& text) {
    const Build build = get(text);
    EXPECT_EQ(build.error, "");
    return view(build.result.layers);
  }

  int64_t time_ = 1'600'000'000;
  std::string served_;
  std::optional<GitDaemon> daemon_;
  RemoteSourceOptions remote_;
};

TEST_F(GitSourceTest, TheDefaultBranchIsALayer) {
  sys::make_dirs(dir_.path() + "/r/bin");
  sys::write_file_atomically(dir_.path() + "/r/bin/tool", "t", 0700);
  ASSERT_EQ(::symlink("../a", (dir_.path() + "/r/bin/link").c_str()), 0);
  commit("r", {}, "two");
  const mode_t before = ::umask(0077);
  const auto seen = files(url());
  ::umask(before);
  EXPECT_THAT(seen, ElementsAre("f 644 0:0 a = 1", "d 755 0:0 bin", "l bin/link -> ../a",
                                "f 755 0:0 bin/tool = t", "d 755 0:0 sub", "d 755 0:0 sub/dir",
                                "f 644 0:0 sub/dir/f = f"));
  EXPECT_EQ(files_in(state_->tmp()), 0u);
}

TEST_F(GitSourceTest, BranchesTagsRefsAndCommitsAreFound) {
  const std::string first = git("r", {"rev-parse", "HEAD"});
  git("r", {"tag", "light"});
  git("r", {"tag", "-a", "-m", "m", "heavy"});
  git("r", {"branch", "feature/x"});
  git("r", {"update-ref", "refs/pull/1/head", first});
  commit("r", {{"a", "2"}}, "two");
  for (const std::string& ref :
       {first, std::string("light"), std::string("heavy"), std::string("refs/tags/heavy"),
        std::string("feature/x"), std::string("refs/heads/feature/x"), std::string("pull/1/head"),
        std::string("refs/pull/1/head"), std::string("heads/feature/x")}) {
    EXPECT_THAT(files(url("#" + ref)), Contains("f 644 0:0 a = 1")) << ref;
  }
  EXPECT_THAT(files(url("#main")), Contains("f 644 0:0 a = 2"));
  EXPECT_THAT(files(url("?tag=heavy")), Contains("f 644 0:0 a = 1"));
  // All of the first commit is one layer, however it was named.
  EXPECT_EQ(get(url("#light")).result.layers, get(url("#heavy")).result.layers);
  EXPECT_EQ(get(url("#" + first)).result.layers, get(url("#heavy")).result.layers);
}

TEST_F(GitSourceTest, ABranchWinsOverATag) {
  git("r", {"tag", "both"});
  git("r", {"checkout", "-q", "-b", "both"});
  commit("r", {{"a", "branch"}}, "two");
  EXPECT_THAT(files(url("#both")), Contains("f 644 0:0 a = branch"));
  EXPECT_THAT(files(url("#refs/tags/both")), Contains("f 644 0:0 a = 1"));
}

TEST_F(GitSourceTest, AnUnchangedRepositoryIsCachedAndAChangedOneIsNot) {
  const Build first = get(url());
  EXPECT_THAT(get(url()).events, ElementsAre("cached v0"));
  commit("r", {{"a", "2"}}, "two");
  const Build changed = get(url());
  EXPECT_THAT(changed.events, ElementsAre("started v0", "completed v0"));
  EXPECT_THAT(view(changed.result.layers), Contains("f 644 0:0 a = 2"));
  // Rewritten history, and branches that become directories of others, do not disturb it.
  git("r", {"checkout", "-q", "--orphan", "new"});
  git("r", {"branch", "-D", "main"});
  git("r", {"commit", "-q", "-m", "anew"});
  git("r", {"branch", "-M", "main/below"});
  publish("r");
  EXPECT_THAT(files(url("#main/below")), Contains("f 644 0:0 a = 2"));
}

TEST_F(GitSourceTest, ACommitIsAskedForOnceOnly) {
  const std::string hash = git("r", {"rev-parse", "HEAD"});
  get(url("#" + hash));
  const std::string text = url("#" + hash);
  daemon_.reset();
  Graph graph;
  const auto source = graph.add(git_source(*parse_git_reference(text)), {});
  EXPECT_THAT(solve(graph, source).events, ElementsAre("cached v0"));
}

TEST_F(GitSourceTest, ASubdirectoryBecomesTheRoot) {
  EXPECT_THAT(files(url("#main:sub")), ElementsAre("d 755 0:0 dir", "f 644 0:0 dir/f = f"));
  EXPECT_THAT(files(url("#main:/sub/dir/")), ElementsAre("f 644 0:0 f = f"));
  EXPECT_THAT(get(url("#main:none")).error, HasSubstr("the repository has no directory 'none'"));
  ASSERT_EQ(::symlink("/etc", (dir_.path() + "/r/link").c_str()), 0);
  commit("r", {}, "link");
  EXPECT_THAT(get(url("#main:link")).error, HasSubstr("'link' of 'link' is not a directory"));
  EXPECT_THAT(get(url("#main:a")).error, HasSubstr("'a' of 'a' is not a directory"));
}

TEST_F(GitSourceTest, AKeptGitDirectoryIsARepositoryOfThatCommit) {
  git("r", {"tag", "-a", "-m", "m", "v1"});
  publish("r");
  const Build build = get(url("?tag=v1&keep-git-dir=1"));
  ASSERT_EQ(build.error, "");
  const std::string root = layers().directory(build.result.layers.at(0));
  git(".", {"clone", "-q", root, "copy"});
  EXPECT_EQ(git("copy", {"describe", "--tags"}), "v1");
  const std::string config = content(build.result.layers, ".git/config");
  EXPECT_THAT(config, HasSubstr("url = \"" + url() + "\""));
  EXPECT_THAT(config, Not(HasSubstr("worktree")));
  EXPECT_NE(get(url("?tag=v1")).result.layers, build.result.layers);
  // Another name for the same commit is another .git.
  EXPECT_NE(get(url("?keep-git-dir=1")).result.layers, build.result.layers);
}

TEST_F(GitSourceTest, TimesCanBeTheCommits) {
  const Build build = get(url("?mtime=commit"));
  for (const char* path : {"", "a", "sub", "sub/dir/f"}) {
    EXPECT_EQ(entry(build.result.layers, path).mtime_sec, time_) << path;
  }
  const std::string root = layers().directory(build.result.layers.at(0));
  EXPECT_EQ(sys::lstatat(AT_FDCWD, root + "/sub")->st_mtim.tv_sec, time_);
  EXPECT_NE(entry(get(url()).result.layers, "a").mtime_sec, time_);
}

TEST_F(GitSourceTest, AChecksumIsOfTheCommitOrTheTag) {
  const std::string hash = git("r", {"rev-parse", "HEAD"});
  git("r", {"tag", "-a", "-m", "m", "v1"});
  publish("r");
  const std::string tag = git("r", {"rev-parse", "v1"});
  EXPECT_EQ(get(url("?ref=v1&checksum=" + hash)).error, "");
  EXPECT_EQ(get(url("?ref=v1&checksum=" + tag.substr(0, 7))).error, "");
  EXPECT_EQ(get(url("?ref=main&checksum=" + hash.substr(0, 3))).error, "");
  EXPECT_THAT(get(url("?ref=main&checksum=" + tag)).error,
              HasSubstr("expected checksum to match " + tag + ", got " + hash));
  EXPECT_THAT(get(url("?ref=v1&checksum=0000")).error,
              HasSubstr("expected checksum to match 0000, got " + tag + " or " + hash));
  EXPECT_THAT(get(url("?checksum=xyz")).error,
              HasSubstr("invalid checksum xyz for git, expected hex commit hash"));
  // The commit itself, whatever the branch is at now.
  commit("r", {{"a", "2"}}, "two");
  EXPECT_THAT(files(url("?ref=main&fetch-by-commit=1&checksum=" + hash)),
              Contains("f 644 0:0 a = 1"));
  EXPECT_THAT(get(url("?ref=main&fetch-by-commit=1&checksum=" + hash.substr(0, 7))).error,
              HasSubstr("fetch-by-commit requires a full commit hash"));
}

TEST_F(GitSourceTest, WhatIsNotThereIsNamed) {
  EXPECT_EQ(get(url("#nope")).error, url("#nope") + ": the repository has no branch or tag 'nope'");
  EXPECT_THAT(get(url("", "none.git")).error,
              AllOf(HasSubstr("none.git"), HasSubstr("git ls-remote failed")));
  const std::string dead(40, 'd');
  EXPECT_EQ(get(url("#" + dead)).error, url("#" + dead) + ": the repository has no commit " + dead);
  EXPECT_EQ(files_in(state_->tmp()), 0u);
}

TEST_F(GitSourceTest, TheDumbProtocolWorksToo) {
  const std::string first = git("r", {"rev-parse", "HEAD"});
  commit("r", {{"a", "2"}}, "two");
  HttpServer server([&](const HttpServerRequest& request) {
    const auto bytes = sys::read_file(served_ + request.target.substr(0, request.target.find('?')));
    return bytes ? HttpServerReply{.body = *bytes} : HttpServerReply{.status = 404};
  });
  EXPECT_THAT(files(server.url() + "/r.git"), Contains("f 644 0:0 a = 2"));
  // Only what a branch points at can be asked for: the rest comes with its history.
  EXPECT_THAT(files(server.url() + "/r.git#" + first), Contains("f 644 0:0 a = 1"));
}

TEST_F(GitSourceTest, SubmodulesComeWithTheirOwnSubmodules) {
  make("inner");
  commit("inner", {{"i", "inner"}}, "one");
  make("middle");
  commit("middle", {{"m", "middle"}}, "one");
  git("middle", {"submodule", "--quiet", "add", served_ + "/inner.git", "in"});
  git("middle", {"config", "-f", ".gitmodules", "submodule.in.url", "../inner.git"});
  commit("middle", {}, "with inner");
  git("r", {"submodule", "--quiet", "add", served_ + "/middle.git", "mid"});
  git("r", {"config", "-f", ".gitmodules", "submodule.mid.url", url("", "middle.git")});
  commit("r", {}, "with middle");
  const auto all = files(url());
  EXPECT_THAT(all,
              AllOf(Contains("f 644 0:0 mid/m = middle"), Contains("f 644 0:0 mid/in/i = inner")));
  for (const auto& line : all) EXPECT_THAT(line, Not(HasSubstr("/.git "))) << line;
  EXPECT_THAT(files(url("?submodules=false")),
              AllOf(Contains("d 755 0:0 mid"), Not(Contains(HasSubstr("mid/m")))));
  EXPECT_THAT(files(url("?keep-git-dir=1")), Contains("f 644 0:0 mid/in/i = inner"));
  EXPECT_THAT(files(url("?subdir=mid/in")), ElementsAre("f 644 0:0 i = inner"));
}

TEST_F(GitSourceTest, SubmodulesReachNothingOfThisMachine) {
  const std::string proof = dir_.path() + "/proof";
  make("other");
  commit("other", {{"o", "o"}}, "one");
  git("r", {"submodule", "--quiet", "add", served_ + "/other.git", "mod"});
  const std::string evil[] = {served_ + "/other.git", "file://" + served_ + "/other.git",
                              "ext::sh -c touch% " + proof, "--upload-pack=touch " + proof,
                              "ssh://-oProxyCommand=touch%20" + proof + "/x"};
  for (const auto& target : evil) {
    git("r", {"config", "-f", ".gitmodules", "submodule.mod.url", target});
    git("r", {"config", "-f", ".gitmodules", "submodule.mod.update", "checkout"});
    commit("r", {}, target);
    EXPECT_THAT(get(url()).error, HasSubstr("git submodule failed")) << target;
  }
  EXPECT_FALSE(sys::lstatat(AT_FDCWD, proof));
  EXPECT_EQ(files_in(state_->tmp()), 0u);
}

TEST_F(GitSourceTest, ARepositoryThatNamesItsFilesLikeGitDoesIsRefused) {
  // A tree with ".git/hooks/post-checkout", which no `git add` would make.
  const std::string proof = dir_.path() + "/proof";
  sys::write_file_atomically(dir_.path() + "/hook", "#!/bin/sh\ntouch " + proof + "\n", 0755);
  const std::string blob = git("r", {"hash-object", "-w", dir_.path() + "/hook"});
  const auto tree = [&](const std::string& line) {
    sys::write_file_atomically(dir_.path() + "/tree", line + "\n");
    ProcessSpec spec;
    spec.args = {"sh", "-c", "git -C \"$0\"/r mktree < \"$0\"/tree", dir_.path()};
    spec.env = {"PATH=/usr/bin:/bin"};
    const Cancellation none;
    return std::string(trim(run_process(spec, none).output));
  };
  for (const char* name : {".git", ".GIT", ".git "}) {
    const std::string hooks = tree("100755 blob " + blob + "\tpost-checkout");
    const std::string inner = tree("040000 tree " + hooks + "\thooks");
    const std::string top = tree("040000 tree " + inner + "\t" + name);
    const std::string hash = git("r", {"commit-tree", "-m", "evil", top});
    git("r", {"update-ref", "refs/heads/evil", hash});
    publish("r");
    EXPECT_THAT(get(url("?ref=evil&keep-git-dir=1")).error, HasSubstr("invalid path"));
    EXPECT_THAT(get(url("?ref=evil")).error, HasSubstr("invalid path"));
    EXPECT_FALSE(sys::lstatat(AT_FDCWD, proof)) << name;
  }
}

TEST_F(GitSourceTest, ConfigurationOfTheUserDoesNotCount) {
  const std::string home = dir_.path() + "/home";
  sys::make_dirs(home);
  sys::write_file_atomically(home + "/.gitconfig",
                             "[url \"git://127.0.0.1:1/\"]\n\tinsteadOf = " + url("", "") + "\n");
  const char* old = std::getenv("HOME");
  const std::string before = old ? old : "";
  ::setenv("HOME", home.c_str(), 1);
  ::setenv("GIT_DIR", home.c_str(), 1);
  EXPECT_EQ(get(url()).error, "");
  ::unsetenv("GIT_DIR");
  ::setenv("HOME", before.c_str(), 1);
}

TEST_F(GitSourceTest, ABrokenSharedRepositoryIsMadeAnew) {
  get(url());
  commit("r", {{"a", "2"}}, "two");
  const UniqueFd git_root = sys::open(state_->root() + "/git", O_RDONLY | O_DIRECTORY);
  for (const auto& name : sys::list_dir(git_root.get())) {
    if (!name.ends_with(".lock")) sys::remove_tree(git_root.get(), name + "/objects");
  }
  EXPECT_THAT(files(url()), Contains("f 644 0:0 a = 2"));
}

TEST_F(GitSourceTest, Sha256RepositoriesWork) {
  sys::make_dirs(dir_.path() + "/wide");
  git("wide", {"-c", "init.defaultBranch=main", "init", "-q", "--object-format=sha256"});
  commit("wide", {{"w", "w"}}, "one");
  EXPECT_THAT(files(url("", "wide.git")), ElementsAre("f 644 0:0 w = w"));
  EXPECT_THAT(files(url("?keep-git-dir=1", "wide.git")), Contains("f 644 0:0 w = w"));
}

TEST_F(GitSourceTest, SshNeedsAnAgentAndUsesIt) {
  EXPECT_EQ(get("git@host:r.git").error,
            "git@host:r.git: git over SSH needs an SSH agent, and the build was given none\n"
            "hint: pass --ssh default");
  // An ssh that notes how it was called and serves the repository itself.
  const std::string bin = dir_.path() + "/bin";
  sys::make_dirs(bin);
  sys::write_file_atomically(bin + "/ssh",
                             "#!/bin/sh\necho \"$SSH_AUTH_SOCK $@\" >> " + dir_.path() +
                                 "/calls\nexec git upload-pack " + served_ + "/r.git\n",
                             0755);
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", (bin + ":" + path).c_str(), 1);
  remote_.ssh_agents["default"] = "/the/agent";
  EXPECT_THAT(files("git@host:r.git"), Contains("f 644 0:0 a = 1"));
  EXPECT_THAT(files("ssh://me@host:22/r.git#main:sub"), Contains("f 644 0:0 dir/f = f"));
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_THAT(*sys::read_file(dir_.path() + "/calls"),
              AllOf(HasSubstr("/the/agent -F /dev/null"), HasSubstr("IdentityFile=none"),
                    HasSubstr("UserKnownHostsFile=\"" + state_->root() + "/git/known_hosts\""),
                    HasSubstr("git@host git-upload-pack 'r.git'")));
}

TEST_F(GitSourceTest, TokensGoIntoAHeaderAndIntoNoMessage) {
  HttpServer server([](const HttpServerRequest&) { return HttpServerReply{.status = 404}; });
  const auto sent = [&] { return server.requests().back().header("authorization"); };
  remote_.secrets["GIT_AUTH_TOKEN"] = "tok\n";
  EXPECT_THAT(get(server.url() + "/r.git").error, Not(HasSubstr("tok")));
  EXPECT_EQ(sent(), "basic eC1hY2Nlc3MtdG9rZW46dG9r");  // x-access-token:tok
  remote_.secrets["GIT_AUTH_HEADER." + server.host()] = "Bearer abc";
  get(server.url() + "/r.git");
  EXPECT_EQ(sent(), "Bearer abc");
  EXPECT_THAT(get("http://u:secret@" + server.host() + "/r.git").error, Not(HasSubstr("secret")));
}

TEST_F(GitSourceTest, CancelingEndsGit) {
  HttpServer server([](const HttpServerRequest&) {
    HttpServerReply reply{.body = "x"};
    reply.delay_head = 30s;
    return reply;
  });
  cancel_after_ = 200ms;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(get(server.url() + "/r.git").kind, ErrorKind::canceled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

}  // namespace
}  // namespace lade
