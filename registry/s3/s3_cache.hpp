// A shared cache in a bucket (type=s3 of --cache-to and --cache-from).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "registry/cache_storage.hpp"
#include "registry/s3/s3_client.hpp"

namespace lade {

struct S3CacheOptions {
  S3Options bucket;
  /// Keys: PREFIX + MANIFESTS + NAME, PREFIX + BLOBS + DIGEST.
  std::string prefix{};
  std::string manifests_prefix = "manifests/";
  std::string blobs_prefix = "blobs/";
  /// What the manifest is stored as, each of them; the first that is there is read. Never empty.
  std::vector<std::string> names = {"lade"};
  /// Blobs that are there already and older than this become as young as new ones, so that a rule
  /// of the bucket can remove what no cache wanted for long. 0: always.
  std::chrono::seconds touch_refresh{24 * 60 * 60};
};

std::shared_ptr<CacheStorage> s3_cache(S3CacheOptions options, HttpOptions http = {});

}  // namespace lade
