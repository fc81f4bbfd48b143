// Google Benchmark over the loops that builds spend their time in. Figures are of one thread unless
// the name says otherwise; bench/run measures whole builds against other builders.
//
//     ./dev bench inner
#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fmt/format.h>

#include "base/database.hpp"
#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "exporter/compressors.hpp"
#include "parser/parse.hpp"
#include "snapshotter/state.hpp"
#include "snapshotter/tar/tar.hpp"
#include "snapshotter/tree/layer_index.hpp"
#include "solver/cache/cache_store.hpp"
#include "solver/lower/lower.hpp"

namespace lade {
namespace {

class NullSink : public ByteSink {
 public:
  void write(std::string_view bytes) override { benchmark::DoNotOptimize(bytes.data()); }
};

class ViewSource : public ByteSource {
 public:
  explicit ViewSource(std::string_view bytes) : left_(bytes) {}
  size_t read(char* buffer, size_t size) override {
    const size_t count = left_.copy(buffer, size);
    left_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view left_;
};

/// There are no images here: everything is FROM scratch.
class NoImages : public ImageResolver {
 public:
  BaseImage resolve(const std::string& source, const Platform&) override {
    throw Error("no image " + source);
  }
};

/// `size` bytes of which half compress well, as programs do.
std::string half_compressible(size_t size) {
  std::mt19937_64 random(1);
  std::string out;
  while (out.size() < size) {
    std::array<uint64_t, 8> noise;
    for (auto& word : noise) word = random();
    out.append(reinterpret_cast<const char*>(noise.data()), sizeof noise);
    out.append(sizeof noise, static_cast<char>('a' + out.size() / 4096 % 26));
  }
  out.resize(size);
  return out;
}

std::shared_ptr<const SourceFile> dockerfile(int64_t instructions) {
  std::string text = "FROM scratch\n";
  for (int64_t i = 0; i < instructions / 4; ++i) {
    text +=
        fmt::format("ARG a{0}=value-{0}\nENV E{0}=$a{0}\nLABEL l{0}=$E{0}\nRUN echo $E{0}\n", i);
  }
  return std::make_shared<SourceFile>(SourceFile{"Dockerfile", std::move(text)});
}

void parse(benchmark::State& state) {
  const auto source = dockerfile(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(parser::parse(source));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(parse)->Arg(1000)->Unit(benchmark::kMicrosecond);

void lower_graph(benchmark::State& state) {
  const auto file = parser::parse(dockerfile(state.range(0)));
  NoImages images;
  for (auto _ : state) benchmark::DoNotOptimize(lower(file, {}, images));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(lower_graph)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

void hash(benchmark::State& state) {
  const std::string bytes = half_compressible(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(Digest::of(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(hash)->Arg(64)->Arg(4 << 10)->Arg(1 << 20);

/// A layer of `count` files in directories of a hundred; `layer` tells those of a stack apart.
std::vector<Entry> entries(int64_t count, int64_t layer = 0) {
  std::vector<Entry> out;
  for (int64_t i = 0; i < count; ++i) {
    Entry entry;
    entry.path = fmt::format("usr/share/d{}/file-{}-{}", i / 100, i, i % 10 == 0 ? layer : 0);
    entry.mode = 0644;
    entry.size = static_cast<uint64_t>(i);
    entry.content = Digest::of(entry.path);
    out.push_back(std::move(entry));
  }
  return out;
}

void index_parse(benchmark::State& state) {
  const std::string bytes = LayerIndex(entries(state.range(0))).serialize();
  for (auto _ : state) benchmark::DoNotOptimize(LayerIndex::parse(bytes));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(index_parse)->Arg(30000)->Unit(benchmark::kMillisecond);

void index_content_digest(benchmark::State& state) {
  const LayerIndex index(entries(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(index.content_digest());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(index_content_digest)->Arg(30000)->Unit(benchmark::kMillisecond);

/// A stack of ten layers, merged and walked.
void index_merge(benchmark::State& state) {
  std::vector<std::shared_ptr<const LayerIndex>> stack;
  for (int64_t i = 0; i < 10; ++i) {
    stack.push_back(std::make_shared<LayerIndex>(entries(state.range(0), i)));
  }
  for (auto _ : state) {
    int64_t seen = 0;
    MergedIndex(stack).walk("", [&](const Found&) { return ++seen > 0; });
    benchmark::DoNotOptimize(seen);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * 10);
}
BENCHMARK(index_merge)->Arg(3000)->Unit(benchmark::kMillisecond);

constexpr int64_t kFileSize = 2048;

/// A layer of files of two KiB, all of which have the bytes of one.
struct Files {
  explicit Files(int64_t count)
      : dir(TempDir::create("/tmp")), index([&] {
          auto all = entries(count);
          for (auto& entry : all) entry.size = kFileSize;
          return LayerIndex(std::move(all));
        }()) {
    sys::write_file_atomically(dir.path() + "/content", std::string(kFileSize, 'x'));
  }
  /// At its start, whoever read it last.
  UniqueFd open() const { return sys::open(dir.path() + "/content", O_RDONLY); }

  TempDir dir;
  LayerIndex index;
};

void tar_write(benchmark::State& state) {
  const Files files(state.range(0));
  NullSink sink;
  for (auto _ : state) {
    write_layer_tar(files.index, [&](const Entry&) { return files.open(); }, sink);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(tar_write)->Arg(2000)->Unit(benchmark::kMillisecond);

/// A layer's tar unpacked with its digests, into the filesystem of /tmp.
void apply(benchmark::State& state) {
  const Files files(state.range(0));
  StringSink tar;
  write_layer_tar(files.index, [&](const Entry&) { return files.open(); }, tar);
  const std::string bytes = tar.take();
  for (auto _ : state) {
    state.PauseTiming();
    auto target = std::make_unique<TempDir>(TempDir::create("/tmp"));
    const UniqueFd dir = sys::open(target->path(), O_RDONLY | O_DIRECTORY);
    ViewSource source(bytes);
    state.ResumeTiming();
    benchmark::DoNotOptimize(extract_tar(source, dir.get(), TarDialect::layer));
    state.PauseTiming();
    target.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(apply)->Arg(2000)->Unit(benchmark::kMillisecond);

/// On all cores, as exports do it.
void compress(benchmark::State& state, LayerCompression type) {
  const std::string bytes = half_compressible(64 << 20);
  CompressionOptions options;
  options.type = type;
  for (auto _ : state) {
    NullSink sink;
    const auto compressor = make_compressor(options, sink);
    compressor->write(bytes);
    compressor->finish();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK_CAPTURE(compress, gzip, LayerCompression::gzip)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(compress, zstd, LayerCompression::zstd)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void key_lookup(benchmark::State& state) {
  const TempDir dir = TempDir::create("/tmp");
  const auto opened = StateDir::open(dir.path());
  CacheStore store(opened->database());
  opened->database().transaction([&] {
    for (int64_t i = 0; i < state.range(0); ++i) {
      CacheRecord record;
      record.key = Digest::of(fmt::format("key {}", i));
      record.op = Digest::of(fmt::format("op {}", i));
      record.components = {{"args", "sh -c make"}, {"cwd", "/"}};
      store.put(record);
    }
  });
  const Digest key = Digest::of("key 17");
  for (auto _ : state) benchmark::DoNotOptimize(store.find(key));
}
BENCHMARK(key_lookup)->Arg(100)->Arg(10000);

}  // namespace
}  // namespace lade

BENCHMARK_MAIN();
