// A second opinion on what the exporters write: reads an image with nothing of lade's but the C
// libraries, and recomputes every digest, size and diff ID.
#pragma once

#include <string>
#include <vector>

namespace lade {

/// Checks an OCI layout directory, an OCI tar or a Docker tar (which is told by its manifest.json):
/// structure, digests, sizes, media types against the bytes, config against manifest, history,
/// annotations, blobs that nothing names, and for tars that they are sorted and without times and
/// owners. Returns what is wrong, one sentence each; empty for a valid image. Never throws for a
/// bad image.
std::vector<std::string> validate_image(const std::string& path);

/// The problems as one text, for messages of assertions.
std::string image_problems(const std::string& path);

}  // namespace lade
