#include "exporter/push.hpp"

#include <mutex>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/shown_text.hpp"
#include "exporter/fetchers.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxDocument = 4u << 20;
constexpr int kMaxDepth = 3;

/// The content store, and behind it whoever has what is not here.
class BlobsOf : public BlobProvider {
 public:
  BlobsOf(ContentStore& content, const PushRequest& request)
      : content_(content), request_(request) {}

  std::unique_ptr<ByteSource> open(const Descriptor& blob) override {
    if (auto fd = content_.open_blob(blob.digest)) {
      return std::make_unique<FdSource>(std::move(*fd));
    }
    const auto elsewhere = request_.provider ? request_.provider(blob) : nullptr;
    if (!elsewhere) {
      throw Error("it is not on this machine, and nothing gives it", ErrorKind::not_found);
    }
    return elsewhere->open(blob);
  }
  std::string where() const override { return "the content store"; }

 private:
  ContentStore& content_;
  const PushRequest& request_;
};

void read_into(StateDir& state, const Descriptor& target, int depth, std::set<Digest>& seen,
               ImageDocuments& out) {
  if (!seen.insert(target.digest).second) return;
  if (depth > kMaxDepth) {
    throw Error(target.digest.str() + " nests its indexes too deeply", ErrorKind::corrupt);
  }
  const std::string bytes = state.content().read_blob(target.digest, kMaxDocument);
  if (media_type::is_index(target.media_type)) {
    for (const auto& child : Index::parse(bytes, target.media_type).manifests) {
      read_into(state, child, depth + 1, seen, out);
    }
  } else {
    Manifest manifest = Manifest::parse(bytes, target.media_type);
    manifest.layers.push_back(manifest.config);
    for (auto& blob : manifest.layers) {
      if (blob.urls.empty() && seen.insert(blob.digest).second)
        out.blobs.push_back(std::move(blob));
    }
  }
  out.manifests.push_back(target);
}

class Push {
 public:
  Push(StateDir& state, RegistryClient& client, const PushRequest& request)
      : state_(state), client_(client), request_(request), provider_(state.content(), request) {}

  PushSummary run(const Descriptor& target) {
    const ImageDocuments documents = read_documents(state_, target);
    for (const auto& text : request_.names) {
      Reference name = Reference::parse(text);
      if (request_.by_digest) name.tag.clear();
      push_blobs(documents.blobs, name);
      push_manifests(documents.manifests, name);
      pushed_.push_back(name);
    }
    return summary_;
  }

 private:
  void push_blobs(const std::vector<Descriptor>& blobs, const Reference& name) {
    say("pushing layers");
    Fetchers threads(blobs.size(), [&](size_t i) { push_blob(blobs[i], name); });
    threads.join();
  }

  void push_blob(const Descriptor& blob, const Reference& name) {
    PushOptions options;
    if (request_.sources) options.mount_from = request_.sources(blob);
    options.mount_from.insert(options.mount_from.end(), pushed_.begin(), pushed_.end());
    if (request_.progress) {
      options.progress = [&](uint64_t done) {
        request_.progress("pushing " + blob.digest.str(), done, blob.size);
      };
    }
    const BlobPush way = client_.push_blob(name, blob, provider_, options);
    const std::lock_guard lock(mutex_);
    summary_.present += way == BlobPush::present ? 1 : 0;
    summary_.mounted += way == BlobPush::mounted ? 1 : 0;
    if (way != BlobPush::uploaded) return;
    ++summary_.uploaded;
    summary_.uploaded_bytes += blob.size;
  }

  void push_manifests(const std::vector<Descriptor>& manifests, const Reference& name) {
    const Descriptor& target = manifests.back();
    const std::string shown = name.str() + "@" + target.digest.str();
    say("pushing manifest for " + shown);
    for (const auto& manifest : manifests) {
      Reference place = name;
      if (request_.by_digest || manifest.digest != target.digest) {
        place.tag.clear();
        place.digest = manifest.digest;
      }
      client_.push_manifest(place, manifest,
                            state_.content().read_blob(manifest.digest, kMaxDocument));
    }
  }

  void say(std::string_view what) const {
    if (request_.progress) request_.progress(what, 0, 0);
  }

  StateDir& state_;
  RegistryClient& client_;
  const PushRequest& request_;
  BlobsOf provider_;
  std::vector<Reference> pushed_;
  std::mutex mutex_;  // guards summary_
  PushSummary summary_;
};

}  // namespace

std::string to_string(const PushSummary& summary) {
  return fmt::format(
      "{} pushed ({:.2f} MB), {} mounted, {} there already", counted(summary.uploaded, "blob"),
      static_cast<double>(summary.uploaded_bytes) / 1e6, summary.mounted, summary.present);
}

ImageDocuments read_documents(StateDir& state, const Descriptor& target) {
  ImageDocuments out;
  std::set<Digest> seen;
  read_into(state, target, 0, seen, out);
  return out;
}

PushSummary push_image(StateDir& state, RegistryClient& client, const Descriptor& target,
                       const PushRequest& request) {
  return Push(state, client, request).run(target);
}

}  // namespace lade
