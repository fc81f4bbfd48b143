#include "daemon/job/ref_files.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

std::string relative(const std::string& path) {
  const std::string clean = clean_path("/" + path);
  return clean.substr(1);
}

MergedIndex bring(Job& job, const LayerStack& stack) {
  bring_layers(job, stack);
  return job.state().layers().merged(stack);
}

[[noreturn]] void not_there(const std::string& path) {
  throw Error(fmt::format("{}: no such file or directory", lade::quoted("/" + path)),
              ErrorKind::not_found);
}

}  // namespace

void bring_layers(Job& job, const LayerStack& stack) {
  LayerStore& layers = job.state().layers();
  const LayerProvider provider = job.provider();
  for (size_t i = 0; i < stack.size(); ++i) {
    if (layers.has_directory(stack[i])) continue;
    job.check_canceled();
    auto from = provider(stack[i]);
    if (!from) from = local_blobs(job.state().content());
    const LayerStack below(stack.begin(), stack.begin() + static_cast<ptrdiff_t>(i));
    try {
      layers.ensure_directory(stack[i], *from, nullptr, below);
    } catch (const Error& error) {
      throw LostLayer(stack[i], error);
    }
  }
}

RefFiles open_result(Job& job, const std::shared_ptr<JobRef>& ref) {
  for (;;) {
    try {
      return {job, job.layers(ref)};
    } catch (const LostLayer& lost) {
      if (!job.distrust(lost)) throw;
    }
  }
}

RefFiles::RefFiles(Job& job, LayerStack stack)
    : layers_(job.state().layers()), stack_(std::move(stack)), index_(bring(job, stack_)) {}

std::optional<Found> RefFiles::find(const std::string& path, bool follow) const {
  return index_.resolve(relative(path), follow);
}

std::string RefFiles::read(const std::string& path, uint64_t offset, uint64_t length,
                           uint64_t limit) const {
  const auto found = find(path);
  if (!found) not_there(relative(path));
  if (found->entry->type != EntryType::regular) {
    throw Error(fmt::format("{} is not a regular file", lade::quoted("/" + relative(path))));
  }
  const UniqueFd file = layers_.open_file(stack_, *found);
  return read_range(file.get(), offset, length, limit, path);
}

std::string read_range(int file, uint64_t offset, uint64_t length, uint64_t limit,
                       const std::string& path) {
  if (offset > 0 && ::lseek(file, static_cast<off_t>(offset), SEEK_SET) < 0) {
    throw_errno("could not seek in " + lade::quoted(path));
  }
  FdSource source(file);
  if (length > 0 && length <= limit) return read_start(source, length);
  return read_all(source, limit, lade::quoted(path));
}

std::vector<std::pair<std::string, Found>> RefFiles::list(const std::string& path) const {
  const auto found = find(path);
  if (!found) not_there(relative(path));
  if (found->entry->type != EntryType::directory) {
    throw Error(fmt::format("{} is not a directory", lade::quoted("/" + relative(path))));
  }
  return index_.list(found->path);
}

SourceOp result_source(Job& job, const std::shared_ptr<JobRef>& ref, ImageConfig config) {
  const std::string source = "result://" + (ref ? ref->id : "empty");
  job.images().add_result(source, job.layers(ref), std::move(config));
  const BaseImage image = job.images().resolve(source, Platform::host());
  return {source, {{"chain", image.chain}}};
}

}  // namespace lade
