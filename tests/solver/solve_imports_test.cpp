// Caches of other machines, and those that lie: whose word serves whom.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/client.hpp"
#include "snapshotter/content/manifest.hpp"
#include "snapshotter/tar/tar.hpp"
#include "solve_fixture.hpp"
#include "solver/cache/cache_store.hpp"
#include "solver/solve_options.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

/// A cache in memory.
class FakeCache : public CacheStorage, public BlobProvider {
 public:
  CacheDocument document;
  std::map<Digest, std::string> stored;
  std::atomic<int> opened = 0;  // layers

  Descriptor put(const std::string& bytes, std::string_view type) {
    Descriptor out;
    out.media_type = type;
    out.digest = Digest::of(bytes);
    out.size = bytes.size();
    stored[out.digest] = bytes;
    return out;
  }

  std::shared_ptr<BlobProvider> blobs() override {
    return {std::shared_ptr<BlobProvider>(), this};  // the test owns it
  }
  std::optional<RemoteManifest> read_manifest() override {
    Manifest manifest;
    manifest.media_type = media_type::kOciManifest;
    manifest.config = put(document.serialize(), media_type::kCacheDocument);
    const std::string bytes = manifest.serialize();
    return RemoteManifest{put(bytes, media_type::kOciManifest), bytes};
  }
  bool has_blob(const Descriptor& blob) override { return stored.contains(blob.digest); }
  void write_blob(const Descriptor&, BlobProvider&) override { throw Error("unexpected"); }
  void write_manifest(const Descriptor&, std::string_view) override { throw Error("unexpected"); }

  std::unique_ptr<ByteSource> open(const Descriptor& blob) override {
    if (media_type::is_layer(blob.media_type)) ++opened;
    const auto found = stored.find(blob.digest);
    if (found == stored.end()) throw Error("no such blob", ErrorKind::not_found);
    return std::make_unique<StringSource>(found->second);
  }
  std::string where() const override { return "memory"; }
};

/// `state_` is the machine that builds share; caches are made on another one.
class SolveImportsTest : public SolveTest {
 protected:
  void SetUp() override {
    SolveTest::SetUp();
    if (state_) images_.emplace(*state_, ImageSourceOptions{});
  }

  /// What a build of the graph elsewhere shares.
  std::unique_ptr<FakeCache> build_elsewhere(const Graph& graph, uint32_t root) {
    auto state = StateDir::open(fmt::format("{}/elsewhere{}", dir_.path(), ++machines_));
    const Build build = solve_in(*state, graph, {root, 0}, {}, steps_);
    EXPECT_EQ(build.error, "");
    auto cache = std::make_unique<FakeCache>();
    for (const auto& record : build.records) {
      std::optional<uint32_t> top;
      for (const LayerId layer : record.layers) top = publish(*state, *cache, layer, top);
      cache->document.records.push_back(
          {record.key, record.op, record.inputs, top, record.created_at});
    }
    return cache;
  }

  /// A layer of the document with these files, of which all is true.
  uint32_t publish(FakeCache& cache, const std::vector<File>& files) {
    auto state = StateDir::open(fmt::format("{}/elsewhere{}", dir_.path(), ++machines_));
    std::swap(state, state_);
    const LayerId made = layer(files);
    std::swap(state, state_);
    return publish(*state, cache, made, std::nullopt);
  }

  static uint32_t publish(StateDir& state, FakeCache& cache, LayerId layer,
                          std::optional<uint32_t> parent) {
    LayerStore& layers = state.layers();
    StringSink tar;
    write_layer_tar(
        *layers.index(layer), [&](const Entry& entry) { return layers.open_entry(layer, entry); },
        tar);
    CacheDocument::Layer out;
    out.parent = parent;
    out.content = layers.content_digest(layer);
    out.blob = cache.put(tar.take(), media_type::kOciLayer);
    out.diff_id.digest = out.blob->digest;  // it is not compressed
    cache.document.layers.push_back(std::move(out));
    return static_cast<uint32_t>(cache.document.layers.size() - 1);
  }

  /// The record of the vertex that runs `command`; there is one.
  static CacheDocument::Record& record_of(FakeCache& cache, const Graph& graph, uint32_t vertex) {
    const Digest op = op_digest(graph.definition.vertices.at(vertex));
    for (auto& record : cache.document.records) {
      if (record.op == op) return record;
    }
    throw Error("no record");
  }

  /// Caches are called "cache:0" and so on.
  SolveOptions reading(const std::vector<FakeCache*>& caches) {
    std::vector<CacheImports::Origin> origins;
    for (FakeCache* cache : caches) {
      origins.push_back({fmt::format("cache:{}", origins.size()),
                         std::shared_ptr<CacheStorage>(std::shared_ptr<CacheStorage>(), cache)});
    }
    SolveOptions options;
    options.imports = std::make_shared<CacheImports>(*state_, *images_, std::move(origins));
    return options;
  }

  std::optional<ImageSources> images_;
  int machines_ = 0;
};

/// RUN a; RUN b; RUN c.
struct Chain {
  Graph graph;
  uint32_t a = graph.run(graph.scratch(), "a");
  uint32_t b = graph.run(a, "b");
  uint32_t c = graph.run(b, "c");
};

TEST_F(SolveImportsTest, AResultServesOnlyBuildsThatReadTheCache) {
  Chain chain;
  steps_["a"].files["f"] = "a";
  const auto cache = build_elsewhere(chain.graph, chain.c);
  const Build reader = solve(chain.graph, chain.c, reading({cache.get()}));
  EXPECT_EQ(reader.error, "");
  EXPECT_THAT(reader.started, IsEmpty());
  EXPECT_EQ(cache->opened, 0);  // nothing is fetched
  EXPECT_THAT(solve(chain.graph, chain.c, reading({cache.get()})).started, IsEmpty());
  EXPECT_THAT(solve(chain.graph, chain.c).started, ElementsAre("a", "b", "c"));
}

TEST_F(SolveImportsTest, WhatRanOnItServesOnlyBuildsThatReadTheCache) {
  Chain chain;
  steps_["a"].files["f"] = "a";
  const auto cache = build_elsewhere(chain.graph, chain.a);
  EXPECT_THAT(solve(chain.graph, chain.c, reading({cache.get()})).started, ElementsAre("b", "c"));
  EXPECT_THAT(solve(chain.graph, chain.c, reading({cache.get()})).started, IsEmpty());
  // Neither by their keys nor for their contents, which are the same here.
  EXPECT_THAT(solve(chain.graph, chain.c).started, ElementsAre("a", "b", "c"));
  const Build own = solve(chain.graph, chain.c);
  EXPECT_THAT(own.started, IsEmpty());
  for (const LayerId layer : own.result.layers) EXPECT_FALSE(layers().claim_of(layer));
}

TEST_F(SolveImportsTest, AClaimOfLayersThatAreHereAnywayIsAClaim) {
  Chain chain;
  steps_["a"].files["f"] = "a";
  steps_["b"].files["g"] = "b";
  const auto cache = build_elsewhere(chain.graph, chain.c);
  // The step b has left nothing, it says.
  record_of(*cache, chain.graph, chain.b).top = record_of(*cache, chain.graph, chain.a).top;
  std::erase_if(cache->document.records, [&](const auto& record) {
    return record.op == op_digest(chain.graph.at(chain.c));
  });
  solve(chain.graph, chain.a);
  const Build reader = solve(chain.graph, chain.c, reading({cache.get()}));
  EXPECT_THAT(reader.started, ElementsAre("c"));
  EXPECT_THAT(view(reader.result.layers), Not(testing::Contains(HasSubstr("0:0 g"))));
  const Build victim = solve(chain.graph, chain.c);
  EXPECT_THAT(victim.started, ElementsAre("b", "c"));
  EXPECT_THAT(view(victim.result.layers), testing::Contains(HasSubstr("0:0 g = b")));
}

/// b is found for what a left, which is made anew by another command.
struct Remade {
  explicit Remade(const std::string& command) : root(graph.run(graph.scratch(), command)) {
    b = graph.run(root, "b");
    root = graph.run(b, "c");
  }
  Graph graph;
  uint32_t b = 0;
  uint32_t root = 0;
};

class SolveImportedContents : public SolveImportsTest {
 protected:
  void SetUp() override {
    SolveImportsTest::SetUp();
    for (const char* command : {"a", "a anew"}) steps_[command].files["f"] = "a";
    steps_["b"].files["g"] = "b";
    if (!state_) return;
    const Remade first("a");
    cache_ = build_elsewhere(first.graph, first.root);
    std::erase_if(cache_->document.records, [&](const auto& record) {
      return record.op == op_digest(first.graph.definition.vertices.at(first.root));
    });
  }
  /// What b gives, for all keys, is this.
  void give(std::optional<uint32_t> top) { record_of(*cache_, remade_.graph, remade_.b).top = top; }

  void expect_to_serve_readers_only() {
    const Build reader = solve(remade_.graph, remade_.root, reading({cache_.get()}));
    EXPECT_EQ(reader.error, "");
    EXPECT_THAT(reader.started, ElementsAre("a anew", "c"));
    EXPECT_THAT(view(reader.result.layers), Not(testing::Contains(HasSubstr("0:0 g"))));
    // The next one is as quick as any, and has seen no layer again.
    const int opened = cache_->opened;
    EXPECT_THAT(solve(remade_.graph, remade_.root, reading({cache_.get()})).started, IsEmpty());
    EXPECT_EQ(cache_->opened, opened);
    const Build victim = solve(remade_.graph, remade_.root);
    EXPECT_THAT(victim.started, ElementsAre("b", "c"));
    EXPECT_THAT(view(victim.result.layers), testing::Contains(HasSubstr("0:0 g = b")));
  }

  std::unique_ptr<FakeCache> cache_;
  Remade remade_{"a anew"};
};

TEST_F(SolveImportedContents, OtherLayersServeOnlyBuildsThatReadTheCache) {
  give(publish(*cache_, {{"evil", "x"}}));
  expect_to_serve_readers_only();
}

TEST_F(SolveImportedContents, NoLayersServeOnlyBuildsThatReadTheCache) {
  give(std::nullopt);
  expect_to_serve_readers_only();
}

TEST_F(SolveImportsTest, AFalseContentThatLeadsToARecordOfThisMachineLeadsOnlyReadersThere) {
  // This machine knows what b makes of "old"; a makes "new", and the cache says that it made "old".
  steps_["a"].files["f"] = "old";
  Chain chain;
  const Build old = solve(chain.graph, chain.c);
  const Digest old_content = layers().content_digest(old.result.layers.at(0));
  steps_["a 2"].files["f"] = "new";
  Graph graph;
  const auto a = graph.run(graph.scratch(), "a 2");
  const auto root = graph.run(graph.run(a, "b"), "c");
  const auto cache = build_elsewhere(graph, a);
  cache->document.layers.back().content = old_content;
  const Build reader = solve(graph, root, reading({cache.get()}));
  EXPECT_EQ(reader.error, "");
  EXPECT_THAT(reader.started, IsEmpty());
  EXPECT_EQ(content(reader.result.layers, "f"), "old");
  const Build victim = solve(graph, root);
  EXPECT_THAT(victim.started, ElementsAre("a 2", "b", "c"));
  EXPECT_EQ(content(victim.result.layers, "f"), "new");
}

TEST_F(SolveImportsTest, FilesThatWereCopiedFromItsLayersServeOnlyBuildsThatReadIt) {
  // All but the times, which nobody compares, is the same.
  Graph graph;
  const auto a = graph.run(graph.scratch(), "a");
  const auto root = graph.copy(graph.scratch(), a, "/f");
  steps_["a"].files["f"] = "a";
  const auto cache = build_elsewhere(graph, a);
  const uint32_t dated = publish(*cache, {{"dev/"}, {"f", "a"}, {"proc/"}, {"sys/"}});
  record_of(*cache, graph, a).top = dated;
  const Build reader = solve(graph, root, reading({cache.get()}));
  EXPECT_EQ(reader.error, "");
  EXPECT_EQ(entry(reader.result.layers, "f").mtime_sec, 1'000'000'000);
  const Build victim = solve(graph, root);
  EXPECT_THAT(victim.started, ElementsAre("a"));
  EXPECT_NE(entry(victim.result.layers, "f").mtime_sec, 1'000'000'000);
}

TEST_F(SolveImportsTest, AFalseContentIsNoticedAndItsCacheNotTrusted) {
  Chain chain;
  steps_["a"].files["f"] = "a";
  const auto cache = build_elsewhere(chain.graph, chain.b);
  cache->document.layers.back().content = Digest::of("a lie");
  const SolveOptions options = reading({cache.get()});
  const Build first = solve(chain.graph, chain.c, options);
  ASSERT_TRUE(first.lost) << first.error;
  EXPECT_TRUE(first.lost->was_false());
  const auto said = options.imports->distrust(*first.lost);
  ASSERT_TRUE(said);
  EXPECT_THAT(*said, HasSubstr("the cache cache:0 is not trusted: "));
  EXPECT_EQ(options.imports->distrust(*first.lost), "");
  EXPECT_THAT(solve(chain.graph, chain.c, options).started, ElementsAre("a", "b", "c"));
  // From now on it is known when the cache is read.
  auto again = reading({cache.get()});
  std::vector<std::string> warnings;
  again.imports->load([&](const std::string& text) { warnings.push_back(text); });
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("was found to be false before")));
  EXPECT_FALSE(again.imports->has_op(op_digest(chain.graph.at(chain.a))));
}

TEST_F(SolveImportsTest, OfSeveralCachesOnlyTheLiarIsNotTrusted) {
  Chain chain;
  steps_["a"].files["f"] = "a";
  const auto honest = build_elsewhere(chain.graph, chain.b);
  FakeCache liar;
  liar.document = honest->document;
  liar.stored = honest->stored;
  liar.document.layers.back().content = Digest::of("a lie");
  const SolveOptions options = reading({&liar, honest.get()});
  const Build first = solve(chain.graph, chain.c, options);
  ASSERT_TRUE(first.lost) << first.error;
  EXPECT_THAT(options.imports->distrust(*first.lost).value(), HasSubstr("the cache cache:0 is"));
  EXPECT_THAT(solve(chain.graph, chain.c, options).started, ElementsAre("c"));
}

TEST_F(SolveImportsTest, BytesThatOneCacheHasNotAreAskedOfTheNext) {
  Chain chain;
  steps_["a"].files["f"] = "a";
  const auto honest = build_elsewhere(chain.graph, chain.b);
  FakeCache empty;
  empty.document = honest->document;
  const SolveOptions options = reading({&empty, honest.get()});
  const Build first = solve(chain.graph, chain.c, options);
  ASSERT_TRUE(first.lost) << first.error;
  EXPECT_FALSE(first.lost->was_false());
  EXPECT_THAT(options.imports->distrust(*first.lost).value(), HasSubstr("cache:1 is asked"));
  // The other layer, likewise.
  const Build second = solve(chain.graph, chain.c, options);
  if (second.lost) {
    EXPECT_TRUE(options.imports->distrust(*second.lost));
    EXPECT_THAT(solve(chain.graph, chain.c, options).started, ElementsAre("c"));
  } else {
    EXPECT_THAT(second.started, ElementsAre("c"));
  }
}

TEST_F(SolveImportsTest, RecordsTellWhoseWordIsInThem) {
  Chain chain;
  steps_["a"].files["f"] = "a";
  const auto cache = build_elsewhere(chain.graph, chain.a);
  const auto told = [&](const Build& build) {
    std::vector<std::string> out;
    for (const auto& record : build.records) {
      const std::string origins = record.origins.empty() ? "own" : *record.origins.begin();
      out.push_back(fmt::format("{} {}{}", origins, record.imported ? "imported" : "made",
                                record.has_known_inputs ? " known" : ""));
    }
    return out;
  };
  const auto expected =
      UnorderedElementsAre("cache:0 imported", "cache:0 made known", "cache:0 made known");
  EXPECT_THAT(told(solve(chain.graph, chain.c, reading({cache.get()}))), expected);
  EXPECT_THAT(told(solve(chain.graph, chain.c, reading({cache.get()}))), expected);
  EXPECT_THAT(told(solve(chain.graph, chain.c)),
              ElementsAre("own made known", "own made known", "own made known"));
}

TEST_F(SolveImportsTest, AllOutputsOfAVertexComeFromOneCache) {
  Graph graph;
  ExecOp op;
  op.args = {"two"};
  ExecMount mount;
  mount.target = "/out";
  mount.input = 1;
  mount.read_only = false;
  mount.output = 1;
  op.mounts.push_back(mount);
  steps_["two"].files["root"] = "r";
  steps_["two"].mounted["/out"]["made"] = "m";
  const auto input = graph.file(graph.scratch(), "/in", "1");
  const auto two = graph.add(std::move(op), {graph.scratch(), input});
  const auto first = build_elsewhere(graph, two);
  const auto second = build_elsewhere(graph, two);
  // Each has one of the two.
  const Digest own = op_digest(graph.at(two));
  std::erase_if(first->document.records, [&](const auto& record) { return record.op == own; });
  const size_t all = second->document.records.size();
  std::erase_if(second->document.records,
                [&](const auto& record) { return record.op != own && record.inputs.size() == 2; });
  ASSERT_EQ(second->document.records.size(), all - 1);
  EXPECT_THAT(solve(graph, two, reading({first.get(), second.get()})).started, ElementsAre("two"));
}

TEST_F(SolveImportsTest, DocumentsAreReadOnceForABuild) {
  Chain chain;
  const auto cache = build_elsewhere(chain.graph, chain.c);
  const SolveOptions options = reading({cache.get()});
  EXPECT_THAT(solve(chain.graph, chain.c, options).started, IsEmpty());
  // Another run of it, as after a layer was lost.
  cache->document = {};
  EXPECT_THAT(solve(chain.graph, chain.c, options).started, IsEmpty());
}

}  // namespace
}  // namespace lade
