// Provenance: options, and what predicates say.
#include "builder/attest/provenance.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "exporter/attestation.hpp"
#include "solver/lower/remote.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using Json = nlohmann::json;

const std::string kHex(64, 'a');

/// FROM an image, RUN with a secret, ADD from a repository, COPY from the context.
struct Graph {
  Graph() {
    const auto file = std::make_shared<SourceFile>(SourceFile{"Dockerfile", "FROM busybox\n"});
    add(SourceOp{"docker-image://docker.io/library/busybox:1@sha256:" + kHex, {{"chain", "x"}}},
        {});
    definition.vertices.back().range = {file, 1, 1};
    ExecOp exec;
    exec.args = {"make"};
    ExecMount secret;
    secret.type = ExecMountType::secret;
    secret.id = "token";
    secret.target = "/run/secrets/token";
    exec.mounts = {secret};
    exec.proxy_env = {{"HTTP_PROXY", "http://hush@proxy"}};
    add(exec, {{0, 0}});
    git = {"git://host/repo", {{"remote", "https://user:hush@host/repo.git"}, {"ref", "v1"}}};
    add(git, {});
    add(FileOp{{CopyAction{.input = 1, .source = "/", .destination = "/"}}}, {{1, 0}, {2, 0}});
    add(SourceOp{"local://unused", {}}, {});
    root = {3, 0};
    facts.request = {"dockerfile.v0",
                     {{"build-arg:A", "1"},
                      {"label:l", "2"},
                      {"target", "t"},
                      {"platform", "p"},
                      {"vcs:revision", "abc"},
                      {"attest:provenance", ""},
                      {"filename", "D"}}};
    facts.pins[git] = std::string(40, 'c');
    facts.started = {1, 0};
  }
  void add(Op op, std::vector<Edge> inputs) {
    Vertex vertex;
    vertex.op = std::move(op);
    vertex.inputs = std::move(inputs);
    vertex.platform = "linux/amd64";
    definition.vertices.push_back(std::move(vertex));
  }
  std::string text(const std::string& attributes, const WrittenImage* image = nullptr) const {
    AttestOptions options;
    set_attestation(options, "provenance", attributes);
    return provenance(options.provenance.value(), facts, definition, root, image).predicate;
  }
  Json of(const std::string& attributes, const WrittenImage* image = nullptr) const {
    return Json::parse(text(attributes, image));
  }

  Definition definition;
  Edge root;
  SourceOp git;
  ProvenanceFacts facts;
};

TEST(ProvenanceOptionsTest, KnowBuildKitsAttributes) {
  AttestOptions out;
  set_attestation(out, "provenance", "mode=min,version=v0.2,builder-id=me,inline-only=true");
  ASSERT_TRUE(out.provenance);
  EXPECT_FALSE(out.provenance->max);
  EXPECT_TRUE(out.provenance->slsa02);
  EXPECT_TRUE(out.provenance->inline_only);
  EXPECT_EQ(out.provenance->builder_id, "me");
  set_attestation(out, "provenance", "disabled=true");
  EXPECT_FALSE(out.provenance);
}

TEST(SbomOptionsTest, NameTheScannerAndWhatItIsTold) {
  AttestOptions out;
  set_attestation(out, "sbom", "");
  ASSERT_TRUE(out.sbom);
  EXPECT_EQ(out.sbom->image, "docker.io/docker/buildkit-syft-scanner:stable-1");
  set_attestation(out, "sbom", "generator=my/scanner,SELECT=all");
  EXPECT_EQ(out.sbom->image, "docker.io/my/scanner:latest");
  EXPECT_EQ(out.sbom->parameters, (std::map<std::string, std::string>{{"SELECT", "all"}}));
  set_attestation(out, "sbom", "disabled=true");
  EXPECT_FALSE(out.sbom);
  const AttestOptions of_frontend = attest_options(
      {{"attest:sbom", ""}, {"build-arg:BUILDKIT_ATTEST_PROVENANCE", "mode=min"}, {"target", "x"}});
  EXPECT_TRUE(of_frontend.sbom);
  EXPECT_TRUE(of_frontend.provenance);
}

TEST(ProvenanceOptionsTest, WhatIsNotThereIsAnError) {
  const auto error = [](const char* kind, const char* attributes) {
    return error_of([&] {
      AttestOptions out;
      set_attestation(out, kind, attributes);
    });
  };
  EXPECT_NE(error("provenance", "mode=some").find("invalid mode"), std::string::npos);
  EXPECT_NE(error("provenance", "version=v2").find("v2"), std::string::npos);
  EXPECT_NE(error("provenance", "colour=red").find("colour"), std::string::npos);
  EXPECT_NE(error("provenance", "filename=a/b").find("a/b"), std::string::npos);
  EXPECT_NE(error("sbom", "generator=my/Scanner").find("my/Scanner"), std::string::npos);
  EXPECT_NE(error("sbom", "generator=").find("sbom scanner"), std::string::npos);
  EXPECT_NE(error("other", "").find("other"), std::string::npos);
}

TEST(ProvenanceTest, ALayoutsImageIsCalledAsItsContext) {
  const auto uri = [](const std::string& context, const std::string& value) {
    Graph graph;
    graph.facts.request.args[context] = value;
    graph.definition.vertices[0].op =
        SourceOp{"oci-layout:///some/store@sha256:" + kHex, {{"chain", "x"}}};
    const Json out = graph.of("mode=min");
    const Json& material = out["buildDefinition"]["resolvedDependencies"][0];
    EXPECT_EQ(material["digest"]["sha256"], kHex);
    const auto text = material["uri"].get<std::string>();
    return text.substr(0, text.find('?'));
  };
  const std::string path = "oci-layout:///some/store@sha256:" + kHex;
  EXPECT_EQ(uri("context:base", path), "pkg:oci/base");
  EXPECT_EQ(uri("context:base::linux/amd64", path), "pkg:oci/base");
  EXPECT_EQ(uri("context:Not an image", path), "pkg:oci/store");
  EXPECT_EQ(uri("context:base", "oci-layout:///other"), "pkg:oci/store");
}

TEST(ProvenanceTest, MinimalTellsMaterialsAndRequestWithoutArguments) {
  const Json out = Graph().of("mode=min,builder-id=b,reproducible=true");
  const Json& materials = out["buildDefinition"]["resolvedDependencies"];
  ASSERT_EQ(materials.size(), 2u);
  EXPECT_EQ(materials[0]["uri"], "pkg:docker/busybox@1?platform=linux%2Famd64");
  EXPECT_EQ(materials[0]["digest"]["sha256"], kHex);
  EXPECT_EQ(materials[1]["uri"], "https://xxxxx:xxxxx@host/repo.git#v1");
  EXPECT_EQ(materials[1]["digest"]["sha1"], std::string(40, 'c'));
  const Json& external = out["buildDefinition"]["externalParameters"];
  EXPECT_EQ(external["configSource"], Json({{"path", "D"}}));
  EXPECT_EQ(external["request"],
            Json({{"frontend", "dockerfile.v0"}, {"args", {{"target", "t"}}}}));
  EXPECT_FALSE(out["buildDefinition"]["internalParameters"].contains("buildConfig"));
  const Json& metadata = out["runDetails"]["metadata"];
  EXPECT_EQ(metadata["startedOn"], "1970-01-01T00:00:01Z");
  EXPECT_EQ(metadata["buildkit_completeness"],
            Json({{"request", false}, {"resolvedDependencies", true}}));
  EXPECT_EQ(metadata["buildkit_metadata"]["vcs"]["revision"], "abc");
  EXPECT_EQ(metadata["buildkit_reproducible"], true);
  EXPECT_EQ(out["runDetails"]["builder"]["id"], "b");
}

TEST(ProvenanceTest, MaximalTellsArgumentsSecretsNamesGraphAndDockerfile) {
  WrittenImage image;
  for (const char c : {'1', '2', '3'}) {
    Descriptor layer;
    layer.digest = Digest::parse("sha256:" + std::string(64, c));
    image.layers.push_back(layer);
  }
  const Json out = Graph().of("", &image);
  const Json& request = out["buildDefinition"]["externalParameters"]["request"];
  EXPECT_EQ(request["args"]["build-arg:A"], "1");
  EXPECT_EQ(request["secrets"], Json::parse(R"([{"id": "token", "optional": true}])"));
  const Json& steps = out["buildDefinition"]["internalParameters"]["buildConfig"]["llbDefinition"];
  ASSERT_EQ(steps.size(), 5u);
  EXPECT_EQ(steps[1]["op"]["Op"]["exec"]["meta"]["args"][0], "make");
  EXPECT_EQ(steps[3]["inputs"], Json({"step1:0", "step2:0"}));
  EXPECT_EQ(steps[4]["inputs"], Json::parse(R"(["step3:0"])"));
  const Json& metadata = out["runDetails"]["metadata"]["buildkit_metadata"];
  EXPECT_EQ(metadata["source"]["infos"][0]["filename"], "Dockerfile");
  EXPECT_EQ(metadata["layers"]["step3:0"][0].size(), 3u);
  EXPECT_EQ(metadata["layers"]["step0:0"][0].size(), 1u);
  EXPECT_EQ(out["runDetails"]["metadata"]["buildkit_completeness"]["request"], true);
}

TEST(ProvenanceTest, PasswordsAndProxiesAreNowhere) {
  EXPECT_EQ(Graph().text("mode=max").find("hush"), std::string::npos);
}

TEST(ProvenanceTest, LocalDirectoriesMakeItIncomplete) {
  Graph graph;
  graph.facts.locals = {"dockerfile"};
  const Json out = graph.of("mode=min");
  EXPECT_EQ(out["runDetails"]["metadata"]["buildkit_completeness"]["resolvedDependencies"], false);
  EXPECT_NE(error_of([&] { graph.text("complete-materials=true"); }).find("dockerfile"),
            std::string::npos);
}

TEST(ProvenanceTest, HasAnOlderForm) {
  const Json out = Graph().of("version=v0.2,mode=min");
  EXPECT_EQ(out["buildType"], "https://mobyproject.org/buildkit@v1");
  EXPECT_EQ(out["materials"].size(), 2u);
  EXPECT_EQ(out["invocation"]["configSource"]["entryPoint"], "D");
  EXPECT_EQ(out["invocation"]["parameters"]["frontend"], "dockerfile.v0");
  EXPECT_EQ(out["metadata"]["completeness"]["materials"], true);
}

TEST(ProvenanceTest, AGitContextIsTheConfigSource) {
  Graph graph;
  graph.facts.request.args["context"] = "https://host/repo.git#v1";
  graph.facts.pins[remote_context("https://host/repo.git#v1")->source] = std::string(40, 'd');
  const Json source = graph.of("")["buildDefinition"]["externalParameters"]["configSource"];
  EXPECT_EQ(source["uri"], "https://host/repo.git#v1");
  EXPECT_EQ(source["digest"]["sha1"], std::string(40, 'd'));
}

TEST(ProvenanceTest, UsersInWhatWasAskedForAreHidden) {
  Graph graph;
  graph.facts.request.args["context:foo"] = "https://foo:bar@example.invalid/foo.html";
  graph.facts.request.args["vcs:source"] = "https://foo@example.invalid/r.git";
  const Json out = graph.of("");
  EXPECT_EQ(out["buildDefinition"]["externalParameters"]["request"]["args"]["context:foo"],
            "https://xxxxx:xxxxx@example.invalid/foo.html");
  EXPECT_EQ(out["runDetails"]["metadata"]["buildkit_metadata"]["vcs"]["source"],
            "https://xxxxx@example.invalid/r.git");
}

TEST(ProvenanceTest, TheOwnerOfTheBuilderMayAddWhatItIs) {
  const TempDir dir = TempDir::create(testing::TempDir());
  EXPECT_EQ(provenance_environment(dir.path() + "/none"), "");
  sys::write_file_atomically(dir.path() + "/a.json", R"({"place": "cellar"})");
  sys::write_file_atomically(dir.path() + "/b.json", R"({"numbers": [1, 2]})");
  sys::write_file_atomically(dir.path() + "/ignored.txt", "no JSON");
  Graph graph;
  graph.facts.environment = provenance_environment(dir.path());
  const Json internal = graph.of("mode=min")["buildDefinition"]["internalParameters"];
  EXPECT_EQ(internal["place"], "cellar");
  EXPECT_EQ(internal["numbers"], Json({1, 2}));
  EXPECT_EQ(graph.of("version=v0.2")["invocation"]["environment"]["place"], "cellar");
  sys::write_file_atomically(dir.path() + "/c.json", R"({"platform": "mine"})");
  EXPECT_NE(error_of([&] { provenance_environment(dir.path()); }).find("platform"),
            std::string::npos);
}

TEST(PackageUrl, NamesImagesAsTheSpecificationDoes) {
  const Platform arm = Platform::parse("linux/arm/v7");
  const auto url = [&](const char* name, const Platform* platform) {
    return package_url("docker", Reference::parse(name), platform);
  };
  EXPECT_EQ(url("debian:12", nullptr), "pkg:docker/debian@12");
  EXPECT_EQ(url("user/app", &arm), "pkg:docker/user/app@latest?platform=linux%2Farm%2Fv7");
  EXPECT_EQ(url("localhost:5000/a:1", nullptr), "pkg:docker/localhost%3A5000/a@1");
  const std::string pinned = "a@sha256:" + kHex;
  EXPECT_EQ(url(pinned.c_str(), nullptr), "pkg:docker/a?digest=sha256:" + kHex);
}

TEST(AttestationStatement, HasSubjectsAndThePredicate) {
  const auto text = attestation_statement({"type", R"({"a":1})"},
                                          {{"name", Digest::parse("sha256:" + kHex)}}, false);
  const Json out = Json::parse(text);
  EXPECT_EQ(out["_type"], "https://in-toto.io/Statement/v1");
  EXPECT_EQ(out["subject"][0]["digest"]["sha256"], kHex);
  EXPECT_EQ(out["predicate"]["a"], 1);
}

}  // namespace
}  // namespace lade
