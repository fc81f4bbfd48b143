// What of an op is in its digest, and so in every cache key.
#include "solver/graph/definition.hpp"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lade {
namespace {

using testing::Contains;
using testing::Pair;

template <class T>
Vertex vertex_with(T op) {
  Vertex vertex;
  vertex.op = std::move(op);
  vertex.platform = "linux/amd64";
  return vertex;
}

ExecOp exec() {
  ExecOp op;
  op.args = {"/bin/sh", "-c", "make"};
  op.env = {"A=1", "B=2"};
  op.extra_hosts = {{"host", "1.2.3.4"}};
  op.script = ExecOp::Script{"/dev/pipes/EOF", "#!x"};
  ExecMount mount;
  mount.target = "/m";
  op.mounts = {mount};
  return op;
}

template <class T>
struct Change {
  const char* what;
  std::function<void(T&)> apply;
};

template <class T>
void expect_all_differ(const T& base, const std::vector<Change<T>>& changes) {
  std::map<Digest, std::string> seen{{op_digest(vertex_with(base)), "the unchanged op"}};
  for (const auto& change : changes) {
    T changed = base;
    change.apply(changed);
    const auto [at, fresh] = seen.emplace(op_digest(vertex_with(changed)), change.what);
    EXPECT_TRUE(fresh) << change.what << " gives the digest of " << at->second;
  }
}

TEST(OpDigest, EveryFieldOfAnExecThatCountsChangesIt) {
  expect_all_differ<ExecOp>(
      exec(),
      {
          {"another argument", [](ExecOp& op) { op.args[2] = "make all"; }},
          {"one more argument", [](ExecOp& op) { op.args.push_back(""); }},
          {"arguments split elsewhere", [](ExecOp& op) { op.args = {"/bin/sh", "-cmake", ""}; }},
          {"a variable's value", [](ExecOp& op) { op.env[0] = "A=3"; }},
          {"a variable less", [](ExecOp& op) { op.env.pop_back(); }},
          {"the order of variables", [](ExecOp& op) { std::swap(op.env[0], op.env[1]); }},
          {"directory", [](ExecOp& op) { op.cwd = "/w"; }},
          {"user", [](ExecOp& op) { op.user = "me"; }},
          {"hostname", [](ExecOp& op) { op.hostname = "h"; }},
          {"no network", [](ExecOp& op) { op.network = OpNetwork::none; }},
          {"the host's network", [](ExecOp& op) { op.network = OpNetwork::host; }},
          {"security", [](ExecOp& op) { op.security = OpSecurity::insecure; }},
          {"shm size", [](ExecOp& op) { op.shm_bytes = 1; }},
          {"an extra host's name", [](ExecOp& op) { op.extra_hosts[0].first = "other"; }},
          {"one more extra host", [](ExecOp& op) { op.extra_hosts.emplace_back("h2", "1.2.3.4"); }},
          {"no script", [](ExecOp& op) { op.script.reset(); }},
          {"the script", [](ExecOp& op) { op.script->content = "#!y"; }},
          {"the script's path", [](ExecOp& op) { op.script->path = "/dev/pipes/E"; }},
          {"no mount", [](ExecOp& op) { op.mounts.clear(); }},
          {"two mounts", [](ExecOp& op) { op.mounts.push_back(op.mounts[0]); }},
      });
}

TEST(OpDigest, EveryFieldOfAMountCounts) {
  ExecOp op = exec();
  const auto mount = [](auto change) { return [change](ExecOp& o) { change(o.mounts[0]); }; };
  expect_all_differ<ExecOp>(
      op, {
              {"type", mount([](ExecMount& m) { m.type = ExecMountType::cache; })},
              {"target", mount([](ExecMount& m) { m.target = "/n"; })},
              {"input 0", mount([](ExecMount& m) { m.input = 0; })},
              {"input 1", mount([](ExecMount& m) { m.input = 1; })},
              {"subpath", mount([](ExecMount& m) { m.subpath = "/s"; })},
              {"writable", mount([](ExecMount& m) { m.read_only = false; })},
              {"size", mount([](ExecMount& m) { m.size_bytes = 1; })},
              {"id", mount([](ExecMount& m) { m.id = "i"; })},
              {"sharing", mount([](ExecMount& m) { m.sharing = CacheMountSharing::locked; })},
              {"required", mount([](ExecMount& m) { m.required = true; })},
              {"variable", mount([](ExecMount& m) { m.env = "V"; })},
              {"variable alone", mount([](ExecMount& m) { m.env_only = true; })},
              {"mode", mount([](ExecMount& m) { m.mode = 0700; })},
              {"uid", mount([](ExecMount& m) { m.uid = 1; })},
              {"gid", mount([](ExecMount& m) { m.gid = 1; })},
          });
}

TEST(OpDigest, EveryFieldOfACopyCounts) {
  FileOp base{{CopyAction{.source = "/a", .destination = "/b"}}};
  const auto copy = [](auto change) {
    return [change](FileOp& op) { change(std::get<CopyAction>(op.actions[0])); };
  };
  expect_all_differ<FileOp>(
      base, {
                {"input", copy([](CopyAction& a) { a.input = 2; })},
                {"source", copy([](CopyAction& a) { a.source = "/c"; })},
                {"destination", copy([](CopyAction& a) { a.destination = "/c"; })},
                {"a directory", copy([](CopyAction& a) { a.destination = "/b/"; })},
                {"owner", copy([](CopyAction& a) { a.owner = CopyOwner{"1"}; })},
                {"empty owner", copy([](CopyAction& a) { a.owner = CopyOwner{""}; })},
                {"mode", copy([](CopyAction& a) { a.mode = "755"; })},
                {"excludes", copy([](CopyAction& a) { a.excludes = {"x"}; })},
                {"more excludes", copy([](CopyAction& a) { a.excludes = {"x", "y"}; })},
                {"wildcard", copy([](CopyAction& a) { a.wildcard = false; })},
                {"parents", copy([](CopyAction& a) { a.parents = true; })},
                {"unpack", copy([](CopyAction& a) { a.unpack = true; })},
                {"link", copy([](CopyAction& a) { a.follow_destination = false; })},
                {"twice", [](FileOp& op) { op.actions.push_back(op.actions[0]); }},
            });
}

TEST(OpDigest, EveryFieldOfAMadeFileCounts) {
  FileOp base{{MakeFileAction{.name = "n", .content = "c", .destination = "/d"}}};
  const auto file = [](auto change) {
    return [change](FileOp& op) { change(std::get<MakeFileAction>(op.actions[0])); };
  };
  expect_all_differ<FileOp>(
      base, {
                {"name", file([](MakeFileAction& a) { a.name = "m"; })},
                {"content", file([](MakeFileAction& a) { a.content = "d"; })},
                {"destination", file([](MakeFileAction& a) { a.destination = "/d/"; })},
                {"owner", file([](MakeFileAction& a) { a.owner = CopyOwner{"1"}; })},
                {"mode", file([](MakeFileAction& a) { a.mode = "755"; })},
                {"link", file([](MakeFileAction& a) { a.follow_destination = false; })},
            });
}

TEST(OpDigest, EveryFieldOfAMadeDirectoryCounts) {
  FileOp base{{MakeDirAction{.path = "/d", .owner = {}, .mtime = {}}}};
  const auto dir = [](auto change) {
    return [change](FileOp& op) { change(std::get<MakeDirAction>(op.actions[0])); };
  };
  expect_all_differ<FileOp>(base,
                            {
                                {"path", dir([](MakeDirAction& a) { a.path = "/e"; })},
                                {"owner", dir([](MakeDirAction& a) { a.owner = CopyOwner{"1"}; })},
                                {"time", dir([](MakeDirAction& a) { a.mtime = 0; })},
                            });
}

TEST(OpDigest, SourcesCountByIdentifierAndAttributes) {
  expect_all_differ<SourceOp>(
      SourceOp{"local://a", {{"exclude.000000", "x"}}},
      {
          {"identifier", [](SourceOp& op) { op.identifier = "local://b"; }},
          {"attribute", [](SourceOp& op) { op.attrs["exclude.000000"] = "y"; }},
          {"one more", [](SourceOp& op) { op.attrs["exclude.000001"] = "x"; }},
      });
}

TEST(OpDigest, TypesOfOpsDiffer) {
  std::set<Digest> digests = {op_digest(vertex_with(SourceOp{})), op_digest(vertex_with(ExecOp{})),
                              op_digest(vertex_with(FileOp{})), op_digest(vertex_with(MergeOp{}))};
  EXPECT_EQ(digests.size(), 4u);
}

TEST(OpDigest, ThePlatformCounts) {
  Vertex vertex = vertex_with(exec());
  const Digest before = op_digest(vertex);
  vertex.platform = "linux/arm64";
  EXPECT_NE(op_digest(vertex), before);
}

TEST(OpDigest, WhatMustNotCountDoesNot) {
  const Vertex base = vertex_with(exec());
  Vertex changed = base;
  auto& op = std::get<ExecOp>(changed.op);
  op.proxy_env = {{"http_proxy", "http://p"}};
  op.extra_hosts[0].second = "5.6.7.8";
  changed.name = "[1/1] RUN make";
  changed.range = SourceRange{nullptr, 3, 4};
  changed.ignore_cache = true;
  changed.inputs = {Edge{0, 0}};  // inputs count by their own keys
  EXPECT_EQ(op_digest(changed), op_digest(base));
}

TEST(OpComponents, NameWhatADigestIsMadeOf) {
  const auto components = op_components(vertex_with(exec()));
  EXPECT_THAT(components, Contains(Pair("platform", "linux/amd64")));
  EXPECT_THAT(components, Contains(Pair("env A", "A=1")));
  EXPECT_THAT(components, Contains(Pair("script /dev/pipes/EOF", "#!x")));
  EXPECT_THAT(components, Contains(Pair("extra host", "host")));
}

Vertex source(const std::string& identifier) {
  Vertex vertex;
  vertex.op = SourceOp{identifier, {}};
  return vertex;
}

/// A source with one exec on it.
Definition chain(const std::string& identifier) {
  Definition definition;
  definition.vertices.push_back(source(identifier));
  Vertex step = vertex_with(exec());
  step.inputs = {{0, 0}};
  definition.vertices.push_back(std::move(step));
  return definition;
}

TEST(Append, TheSameOpsOnTheSameInputsAreOneVertex) {
  Definition all;
  EXPECT_EQ(append(all, chain("a"), {1, 0}), (Edge{1, 0}));
  EXPECT_EQ(append(all, chain("b"), {1, 0}), (Edge{3, 0}));
  EXPECT_EQ(append(all, chain("a"), {1, 0}), (Edge{1, 0}));
  EXPECT_EQ(append(all, chain("b"), {0, 0}), (Edge{2, 0}));
  ASSERT_EQ(all.vertices.size(), 4U);
  EXPECT_EQ(all.vertices[3].inputs.front(), (Edge{2, 0}));
}

}  // namespace
}  // namespace lade
