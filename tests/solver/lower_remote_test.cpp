// What names a remote source, and what lowering makes of it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "solver/lower/remote.hpp"
#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

/// "remote ref=... subdir=... ..." of what was parsed; "no" if it is no git reference.
std::string parsed(const std::string& text) {
  const auto reference = parse_git_reference(text);
  if (!reference) return "no";
  std::string out = reference->remote;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) out += fmt::format(" {}={}", name, value);
  };
  add("ref", reference->ref);
  add("subdir", reference->subdir);
  add("checksum", reference->checksum);
  add("mtime", reference->mtime);
  if (reference->keep_git_dir) add("keep", *reference->keep_git_dir ? "yes" : "no");
  if (reference->submodules) add("submodules", *reference->submodules ? "yes" : "no");
  if (reference->fetch_by_commit) out += " by-commit";
  if (reference->like_local_path) out += " shorthand";
  if (reference->uses_ssh()) out += " ssh";
  return out;
}

struct ReferenceCase {
  const char* text;
  const char* expected;
};

TEST(GitReferenceTest, IsWhatBuildKitTakesForOne) {
  const ReferenceCase cases[] = {
      {"https://example.com/", "no"},
      {"https://example.com/foo", "no"},
      {"https://example.com/foo.git", "https://example.com/foo.git"},
      {"https://example.com/foo%2egit", "https://example.com/foo%2egit"},
      {"https://foo:bar@example.com/foo.git", "https://foo:bar@example.com/foo.git"},
      {"HTTPS://example.com/foo.git", "https://example.com/foo.git"},
      {"https://example.com:x/foo.git", "no"},
      {"https://example.com/a b.git", "https://example.com/a%20b.git"},
      {"https://example.com/%zz.git", "no"},
      {"https://example.com/\x01.git", "no"},
      {"http://[::1]:80/foo.git", "http://[::1]:80/foo.git"},
      {"git://host/foo", "git://host/foo"},
      {"git://host/foo#main:sub/../dir/", "git://host/foo ref=main subdir=dir"},
      {"ssh://root@host:2222/foo.git", "ssh://root@host:2222/foo.git ssh"},
      {"ftp://host/foo.git", "no"},
      {"ext::sh -c x", "no"},
      {"file:///foo.git", "no"},
      {"ext://host/foo.git", "no"},
      {"git@github.com:moby/buildkit", "git@github.com:moby/buildkit ssh"},
      {"git@github.com:moby/buildkit.git#v1:d",
       "git@github.com:moby/buildkit.git ref=v1 subdir=d ssh"},
      {"me@host:x?branch=b#refs/heads/b", "me@host:x ref=refs/heads/b ssh"},
      {"-oProxyCommand=x@host:y", "no"},
      {"host:path", "no"},
      {"a/b@host:path", "no"},
      {"github.com/moby/buildkit", "https://github.com/moby/buildkit shorthand"},
      {"github.com/moby/buildkit.git#main:x",
       "https://github.com/moby/buildkit.git ref=main subdir=x shorthand"},
      {"./github.com/moby/buildkit", "no"},
      {"../foo.git", "no"},
      {"foo.git", "no"},
      {"https://h/r.git#:sub", "https://h/r.git subdir=sub"},
      {"https://h/r.git#a%2fb:../../up", "https://h/r.git ref=a/b subdir=up"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(parsed(text), expected) << text;
}

TEST(GitReferenceTest, ReadsTheQueryForm) {
  const std::string base = "https://h/r.git?";
  const ReferenceCase cases[] = {
      {"ref=v1.0&subdir=/sub/dir", "https://h/r.git ref=v1.0 subdir=/sub/dir"},
      {"tag=v1", "https://h/r.git ref=refs/tags/v1"},
      {"tag=refs/tags/v1#refs/tags/v1", "https://h/r.git ref=refs/tags/v1"},
      {"branch=main&commit=abc", "https://h/r.git ref=refs/heads/main checksum=abc"},
      {"checksum=abc&keep-git-dir=1", "https://h/r.git checksum=abc keep=yes"},
      {"keep-git-dir", "https://h/r.git keep=yes"},
      {"keep-git-dir=false&submodules=F", "https://h/r.git keep=no submodules=no"},
      {"mtime=commit", "https://h/r.git mtime=commit"},
      {"ref=main&checksum=abc&fetch-by-commit", "https://h/r.git ref=main checksum=abc by-commit"},
      {"ref=a+b%2Fc", "https://h/r.git ref=a b/c"},
      {"ref=%zz&ref=main", "https://h/r.git ref=main"},
      {"", "https://h/r.git"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(parsed(base + text), expected) << text;
}

TEST(GitReferenceTest, RefusesContradictionsInTheQuery) {
  const std::string base = "https://h/r.git?";
  const ReferenceCase cases[] = {
      {"foo=bar", "unexpected query \"foo\""},
      {"ref=", "query \"ref\" has no value"},
      {"ref=a&ref=b", "query \"ref\" has multiple values"},
      {"ref=a#b", "ref conflicts: \"b\" vs \"a\""},
      {"ref=a&tag=a", "ref conflicts: \"a\" vs \"refs/tags/a\""},
      {"branch=a#a", "ref conflicts: \"a\" vs \"refs/heads/a\""},
      {"tag=a&branch=b", "branch conflicts with tag"},
      {"subdir=x#:y", "subdir conflicts: \"y\" vs \"x\""},
      {"submodules=maybe", "invalid submodules value: \"maybe\""},
      {"keep-git-dir=2", "invalid keep-git-dir value: \"2\""},
      {"mtime=now", "invalid mtime value: \"now\" (must be \"checkout\" or \"commit\")"},
      {"checksum=a&commit=b", "checksum conflicts: \"a\" vs \"b\""},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(error_of([&] { parse_git_reference(base + text); }), expected) << text;
  }
}

TEST(HttpNameTest, IsTheLastPartOfThePath) {
  const ReferenceCase cases[] = {
      {"http://h/a/b.txt", "b.txt"}, {"http://h/a/b.txt?x=/c#d", "b.txt"},
      {"http://h/a%20b", "a b"},     {"http://h/dir/", "dir"},
      {"http://h", "__unnamed__"},   {"http://h/", "__unnamed__"},
      {"http://h/a%2Fb", "b"},       {"http://h/a%0Ab", "download"},
      {"http://h/x/..", "download"}, {"http://h/%20x%20", "x"},
  };
  for (const auto& [url, expected] : cases) EXPECT_EQ(http_file_name(url), expected) << url;
}

TEST(RedactUrlTest, LeavesNoPasswordAndNoToken) {
  const ReferenceCase cases[] = {
      {"https://user:secret@h/x?y", "https://h/x?y"},
      {"https://token@h/x", "https://h/x"},
      {"ssh://git@h/x", "ssh://git@h/x"},
      {"ssh://git:pw@h/x", "ssh://h/x"},
      {"https://h/a@b", "https://h/a@b"},
      {"git@h:x", "git@h:x"},
  };
  for (const auto& [url, expected] : cases) EXPECT_EQ(redact_url(url), expected) << url;
}

// -- ADD

TEST(LowerAddRemoteTest, AUrlIsASourceWhoseFileIsCopied) {
  const LoweredImage image =
      lowered("FROM scratch\nADD --chown=1 --chmod=644 https://h/a/f.txt /d/\n");
  EXPECT_THAT(graph(image),
              ElementsAre("0 source scratch", "1 source https://h/a/f.txt", "2 file 0 1"));
  const auto& source = std::get<SourceOp>(image.definition.vertices[1].op);
  EXPECT_THAT(source.attrs, ElementsAre(Pair("filename", "f.txt")));
  EXPECT_EQ(image.definition.vertices[1].name, "[internal] load https://h/a/f.txt");
  EXPECT_EQ(to_string(image.definition.vertices[1].range), "Dockerfile:2");
  const auto& copy = std::get<CopyAction>(last_file(image).actions.at(0));
  EXPECT_EQ(copy.source, "/f.txt");
  EXPECT_EQ(copy.destination, "/d/");
  EXPECT_FALSE(copy.wildcard);
  EXPECT_FALSE(copy.unpack);
  EXPECT_EQ(copy.owner->user, "1");
  EXPECT_EQ(copy.mode, "644");
  EXPECT_THAT(history(image),
              ElementsAre("ADD --chown=1 --chmod=644 https://h/a/f.txt /d/ # buildkit"));
}

TEST(LowerAddRemoteTest, AUrlIsUnpackedOnDemandOnly) {
  const LoweredImage image = lowered("FROM scratch\nADD --unpack=true https://h/f.tar /d/\n");
  EXPECT_TRUE(std::get<CopyAction>(last_file(image).actions.at(0)).unpack);
}

TEST(LowerAddRemoteTest, AGitRepositoryIsCopiedWhole) {
  const LoweredImage image = lowered(
      "FROM scratch\nARG REF=v1\nADD --keep-git-dir=true --checksum=abc https://h/r.git#$REF:sub "
      "/d\n");
  const auto& source = std::get<SourceOp>(image.definition.vertices[1].op);
  EXPECT_EQ(source.identifier, "git://h/r.git");
  EXPECT_THAT(source.attrs,
              UnorderedElementsAre(Pair("remote", "https://h/r.git"), Pair("ref", "v1"),
                                   Pair("subdir", "sub"), Pair("checksum", "abc"),
                                   Pair("keep-git-dir", "true")));
  const auto& copy = std::get<CopyAction>(last_file(image).actions.at(0));
  EXPECT_EQ(copy.source, "/");
  EXPECT_EQ(copy.destination, "/d");
  EXPECT_THAT(history(image),
              ElementsAre("ARG REF=v1 (empty)", "ADD https://h/r.git#v1:sub /d # buildkit"));
}

TEST(LowerAddRemoteTest, SeveralKindsOfSourcesAreInputsOfOneStep) {
  const LoweredImage image =
      lowered("FROM scratch\nADD a https://h/f git://h/r b https://h/f /d/\n");
  EXPECT_THAT(graph(image),
              ElementsAre("0 source scratch", "1 source local://context", "2 source https://h/f",
                          "3 source git://h/r", "4 file 0 1 2 3 2"));
  std::vector<uint32_t> inputs;
  for (const auto& action : last_file(image).actions) {
    inputs.push_back(std::get<CopyAction>(action).input);
  }
  EXPECT_THAT(inputs, ElementsAre(1, 2, 3, 1, 4));
}

TEST(LowerAddRemoteTest, AShorthandIsAPathOfTheContext) {
  const LoweredImage image = lowered("FROM scratch\nADD github.com/a/b /d/\n");
  EXPECT_EQ(std::get<CopyAction>(last_file(image).actions.at(0)).source, "/github.com/a/b");
}

TEST(LowerAddRemoteTest, MistakesNameTheirLine) {
  const std::string sum = "sha256:" + std::string(64, '0');
  const std::pair<std::string, std::string> cases[] = {
      {"COPY https://h/f /", "source can't be a URL for COPY"},
      {"COPY https://h/r.git /", "source can't be a git ref for COPY"},
      {"ADD https://h/r.git?x=y /", "unexpected query \"x\""},
      {"COPY https://h/r.git?x=y /", "unexpected query \"x\""},
      {"ADD https://h/r.git#-x /", "invalid git ref \"-x\""},
      {"ADD --checksum=" + sum + " https://h/a https://h/b /d/",
       "checksum can't be specified for multiple sources"},
      {"ADD --checksum=" + sum + " f /d/", "checksum requires HTTP(S) or Git sources"},
      {"ADD --checksum=sha256:12 https://h/a /d/",
       "invalid digest 'sha256:12': expected sha256: and 64 hex digits"},
      {"ADD --checksum=ab https://h/r.git?checksum=cd /d/", "checksum mismatch \"ab\" != \"cd\""},
      {"ADD --keep-git-dir=true https://h/r.git?keep-git-dir=0 /d/",
       "inconsistent keep-git-dir configuration"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_EQ(Lowering("FROM scratch\n" + line + "\n").error(), "Dockerfile:2: " + expected)
        << line;
  }
}

// -- contexts

TEST(RemoteContextTest, AGitContextIsReadFromItsSource) {
  Lowering lowering("FROM debian\nCOPY a /\nADD b.tar /\nRUN --mount=target=/m,source=sub true\n");
  lowering.options.context_source = remote_context("github.com/a/b#main:dir");
  const LoweredImage image = lowering.run();
  EXPECT_THAT(graph(image), ElementsAre("0 source docker-image://debian@sha256:1",
                                        "1 source git://github.com/a/b", "2 file 0 1", "3 file 2 1",
                                        "4 exec 3 1"));
  EXPECT_EQ(image.definition.vertices[1].name,
            "[internal] load git source github.com/a/b#main:dir");
  EXPECT_EQ(last_exec(image).mounts.at(0).subpath, "/sub");
}

TEST(RemoteContextTest, AnArchiveIsUnpackedOntoScratch) {
  Lowering lowering("FROM scratch\nCOPY a /\n");
  lowering.options.context_source = remote_context("https://h/c.tgz");
  lowering.options.context_source->archive = "context";
  const LoweredImage image = lowering.run();
  EXPECT_THAT(graph(image), ElementsAre("0 source scratch", "1 source https://h/c.tgz",
                                        "2 source scratch", "3 file 2 1", "4 file 0 3"));
  const auto& unpack =
      std::get<CopyAction>(std::get<FileOp>(image.definition.vertices[3].op).actions.at(0));
  EXPECT_EQ(unpack.source, "/context");
  EXPECT_EQ(unpack.destination, "/");
  EXPECT_TRUE(unpack.unpack);
}

TEST(RemoteContextTest, NamedContextsMayBeRemote) {
  Lowering lowering("FROM base AS b\nCOPY --from=files /x /\n");
  lowering.options.contexts = {{"base", "https://h/r.git"}, {"files", "https://h/f.tar"}};
  const LoweredImage image = lowering.run();
  EXPECT_THAT(graph(image),
              ElementsAre("0 source git://h/r.git", "1 source https://h/f.tar", "2 file 0 1"));
  // As BuildKit has it: one file, which is not unpacked.
  EXPECT_EQ(std::get<SourceOp>(image.definition.vertices[1].op).attrs.at("filename"), "context");
}

TEST(RemoteContextTest, ADirectoryIsNone) {
  EXPECT_FALSE(remote_context("./dir"));
  EXPECT_FALSE(remote_context("/dir"));
  EXPECT_FALSE(remote_context("docker-image://x"));
}

}  // namespace
}  // namespace lade
