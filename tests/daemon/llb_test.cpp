// Graphs of clients', built by the daemon as a process.
#include <optional>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/digest.hpp"
#include "base/temp_dir.hpp"
#include "tests/support/buildkit_client.hpp"
#include "tests/support/daemon_program.hpp"

namespace lade::test {
namespace {

namespace api = moby::buildkit::v1;

/// Makes a definition; ops are named by their digests.
class Graph {
 public:
  struct Output {
    std::string digest;
    int64_t index = 0;
  };

  Output add(pb::Op op, const std::vector<Output>& inputs = {}) {
    for (const auto& input : inputs) {
      auto& out = *op.add_inputs();
      out.set_digest(input.digest);
      out.set_index(input.index);
    }
    const std::string bytes = op.SerializeAsString();
    definition_.add_def(bytes);
    return {Digest::of(bytes).str(), 0};
  }

  Output source(const std::string& identifier, std::map<std::string, std::string> attrs = {}) {
    pb::Op op;
    op.mutable_source()->set_identifier(identifier);
    for (const auto& [name, value] : attrs) (*op.mutable_source()->mutable_attrs())[name] = value;
    return add(std::move(op));
  }

  /// A file in an empty tree, or in `base`.
  Output file(const std::string& path, const std::string& text, std::optional<Output> base = {}) {
    pb::Op op;
    auto& action = *op.mutable_file()->add_actions();
    action.set_input(base ? 0 : -1);
    action.set_secondaryinput(-1);
    action.set_output(0);
    action.mutable_mkfile()->set_path(path);
    action.mutable_mkfile()->set_data(text);
    action.mutable_mkfile()->set_mode(0644);
    action.mutable_mkfile()->set_timestamp(-1);
    return add(std::move(op), base ? std::vector{*base} : std::vector<Output>{});
  }

  pb::Definition finish(const Output& result) {
    add({}, {result});
    return definition_;
  }

 private:
  pb::Definition definition_;
};

class LlbTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, for the sandbox";
    daemon_.emplace(kDaemonProgram, dir_.path());
    client_.emplace(daemon_->address());
    client_->open_session();
  }

  api::SolveRequest request(const pb::Definition& graph, const std::string& exporter) {
    auto out = client_->dockerfile_build("build" + std::to_string(++builds_));
    out.clear_frontend();
    *out.mutable_definition() = graph;
    out.add_exporters()->set_type(exporter);
    return out;
  }

  /// The exported bytes, or the error.
  std::string solve(const api::SolveRequest& request) {
    api::SolveResponse response;
    const auto status = client_->solve(request, response);
    return status.ok() ? client_->files[0] : "error: " + status.error_message();
  }
  std::string built(const pb::Definition& graph, const std::string& exporter = "tar") {
    return solve(request(graph, exporter));
  }

  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  TempDir dir_ = TempDir::create(testing::TempDir());
  std::optional<DaemonProcess> daemon_;
  std::optional<BuildkitClient> client_;
  int builds_ = 0;
};

size_t layers_of(const std::string& archive) {
  size_t count = 0;
  const std::string type = "\"application/vnd.oci.image.layer.v1";
  for (size_t at = archive.find(type); at != std::string::npos; at = archive.find(type, at + 1)) {
    ++count;
  }
  return count;
}

pb::Op chain_of_actions() {
  pb::Op op;
  const auto add = [&](int64_t input) -> pb::FileAction& {
    auto& action = *op.mutable_file()->add_actions();
    action.set_input(input);
    action.set_secondaryinput(-1);
    action.set_output(-1);
    return action;
  };
  auto& directory = *add(-1).mutable_mkdir();
  directory.set_path("/made");
  directory.set_mode(0700);
  directory.set_timestamp(-1);
  auto& file = *add(0).mutable_mkfile();
  file.set_path("/made/gone");
  file.set_timestamp(-1);
  auto& link = *add(1).mutable_symlink();
  link.set_oldpath("/target-of-link");
  link.set_newpath("/made/link");
  link.set_timestamp(-1);
  auto& last = add(2);
  last.mutable_rm()->set_path("/made/gone");
  last.set_output(0);
  return op;
}

TEST_F(LlbTest, AGraphWithoutOpsIsAnEmptyResult) {
  const std::string archive = built(pb::Definition(), "oci");
  EXPECT_TRUE(has(archive, "oci-layout")) << archive;
  EXPECT_EQ(layers_of(archive), 0u);
}

TEST_F(LlbTest, AnEpochAmongTheArgumentsIsTheExportersToo) {
  Graph graph;
  auto wanted = request(graph.finish(graph.file("/f", "text")), "tar");
  (*wanted.mutable_frontendattrs())["build-arg:SOURCE_DATE_EPOCH"] = "1000000000";
  EXPECT_TRUE(has(solve(wanted), "07346545000")) << "in octal";
}

TEST_F(LlbTest, AChainOfActionsIsOneLayer) {
  Graph graph;
  const auto definition = graph.finish(graph.add(chain_of_actions()));
  const std::string tar = built(definition);
  EXPECT_TRUE(has(tar, "made/link")) << tar.substr(0, 200);
  EXPECT_TRUE(has(tar, "/target-of-link"));
  EXPECT_FALSE(has(tar, "made/gone"));
  EXPECT_EQ(layers_of(built(definition, "oci")), 1u);
}

TEST_F(LlbTest, DifferencesAreMerged) {
  Graph graph;
  const auto lower = graph.file("/lower", "1");
  const auto upper = graph.file("/upper", "2", lower);
  pb::Op diff;
  diff.mutable_diff()->mutable_lower()->set_input(0);
  diff.mutable_diff()->mutable_upper()->set_input(1);
  const auto difference = graph.add(diff, {lower, upper});
  const auto other = graph.file("/other", "3");
  pb::Op merge;
  merge.mutable_merge()->add_inputs()->set_input(0);
  merge.mutable_merge()->add_inputs()->set_input(1);
  const std::string tar = built(graph.finish(graph.add(merge, {other, difference})));
  EXPECT_TRUE(has(tar, "upper")) << tar.substr(0, 200);
  EXPECT_TRUE(has(tar, "other"));
  EXPECT_FALSE(has(tar, "lower"));
}

TEST_F(LlbTest, PassthroughGivesItsInputs) {
  Graph graph;
  const auto first = graph.file("/first", "1");
  const auto second = graph.file("/second", "2");
  pb::Op op;
  op.mutable_passthrough()->set_id("x");
  op.mutable_passthrough()->add_outputs(1);
  const std::string tar = built(graph.finish(graph.add(op, {first, second})));
  EXPECT_TRUE(has(tar, "second")) << tar.substr(0, 200);
  EXPECT_FALSE(has(tar, "first"));
}

/// A graph that makes a file with `inner` in it, and is what that says.
pb::Definition holder_of(const pb::Definition& inner) {
  Graph graph;
  const auto holder = graph.file("/buildkit.llb.definition", inner.SerializeAsString());
  pb::Op op;
  op.mutable_build()->set_builder(-1);
  (*op.mutable_build()->mutable_inputs())["buildkit.llb.definition"].set_input(0);
  return graph.finish(graph.add(op, {holder}));
}

TEST_F(LlbTest, AGraphInAFileIsBuilt) {
  Graph inner;
  EXPECT_TRUE(has(built(holder_of(inner.finish(inner.file("/inner", "1")))), "inner"));
}

TEST_F(LlbTest, GraphsInFilesOfGraphsInFilesEndSomewhere) {
  Graph inner;
  pb::Definition graph = inner.finish(inner.file("/inner", "1"));
  for (int i = 0; i < 32; ++i) graph = holder_of(graph);
  EXPECT_TRUE(has(built(graph), "inner"));
  EXPECT_TRUE(has(built(holder_of(graph)), "graphs are nested more than 32 deep"));
}

TEST_F(LlbTest, WhatIsNotSupportedIsNamed) {
  Graph graph;
  EXPECT_TRUE(
      has(built(graph.finish(graph.source("https://127.0.0.1:1/x", {{"http.sig.pubkey", "k"}}))),
          "the attribute http.sig.pubkey of sources is not supported"));
}

TEST_F(LlbTest, PrivilegesAreAskedFor) {
  Graph graph;
  pb::Op op;
  auto& exec = *op.mutable_exec();
  exec.mutable_meta()->add_args("true");
  exec.set_security(pb::INSECURE);
  auto& root = *exec.add_mounts();
  root.set_dest("/");
  root.set_input(-1);
  EXPECT_TRUE(
      has(built(graph.finish(graph.add(op))), "entitlement security.insecure is not allowed"));
}

TEST_F(LlbTest, APolicyOfTheRequestHolds) {
  Graph graph;
  auto asked = request(graph.finish(graph.source("https://127.0.0.1:1/x")), "tar");
  auto& rule = *asked.mutable_sourcepolicy()->add_rules();
  rule.set_action(api::sourcepolicy::DENY);
  rule.mutable_selector()->set_identifier("https://*");
  EXPECT_TRUE(has(solve(asked), "source \"https://127.0.0.1:1/x\" denied by policy"));
}

TEST_F(LlbTest, DirectoriesOfAnotherSessionCanBeNamed) {
  BuildkitClient other(daemon_->address());
  other.directories["theirs"] = {{"file-of-theirs", "1"}};
  const std::string session = other.open_session();
  Graph graph;
  const auto definition =
      graph.finish(graph.source("local://theirs", {{"local.session", session}}));
  EXPECT_TRUE(has(built(definition), "file-of-theirs"));
}

}  // namespace
}  // namespace lade::test
