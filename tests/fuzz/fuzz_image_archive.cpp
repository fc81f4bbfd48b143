// load_image_archive on arbitrary bytes: what it accepts is whole, what it refuses names nothing.
//
// The first byte says what the rest is. Even: the archive itself. Odd: its members, separated by
// 0xff bytes: a line with the name, then the content, in which "@3" (in names, too) is the digest
// of the content of member 3. Digests are checked early, so that nothing else gets far.
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/temp_dir.hpp"
#include "base/text.hpp"
#include "snapshotter/images/image_archive.hpp"
#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/state.hpp"

namespace {

using namespace lade;

std::string with_digests(const std::string& text, const std::vector<Digest>& digests) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool refers = text[i] == '@' && i + 1 < text.size() && text[i + 1] >= '0' &&
                        static_cast<size_t>(text[i + 1] - '0') < digests.size();
    if (refers) {
      out += digests[static_cast<size_t>(text[++i] - '0')].hex();
    } else {
      out += text[i];
    }
  }
  return out;
}

void append_member(std::string& tar, const std::string& name, const std::string& content) {
  std::string head(512, '\0');
  const bool is_link = content.starts_with("->");
  const auto put = [&](size_t at, const std::string& text, size_t room) {
    head.replace(at, std::min(text.size(), room), text.substr(0, room));
  };
  char size[16];
  std::snprintf(size, sizeof size, "%011zo", is_link ? size_t{0} : content.size());
  put(0, name, 100);
  put(100, "0000644", 8);
  put(108, "0000000", 8);
  put(116, "0000000", 8);
  put(124, size, 12);
  put(136, "00000000000", 12);
  put(148, "        ", 8);
  head[156] = is_link ? '2' : name.ends_with('/') ? '5' : '0';
  if (is_link) put(157, content.substr(2), 100);
  put(257,
      std::string("ustar\0"
                  "00",
                  8),
      8);
  unsigned sum = 0;
  for (const char c : head) sum += static_cast<unsigned char>(c);
  char text[16];
  std::snprintf(text, sizeof text, "%06o", sum);
  put(148, std::string(text, 7) + " ", 8);
  tar += head;
  if (is_link) return;
  tar += content;
  tar.resize((tar.size() + 511) / 512 * 512);
}

std::string make_archive(const std::string& description) {
  std::string tar;
  std::vector<Digest> digests;
  for (const auto& member : split(description, '\xff')) {
    const size_t line = member.find('\n');
    const std::string content =
        line == std::string::npos ? "" : with_digests(member.substr(line + 1), digests);
    digests.push_back(Digest::of(content));
    append_member(tar, with_digests(member.substr(0, line), digests), content);
  }
  tar.resize(tar.size() + 1024);
  return tar;
}

/// All blobs of an image that was taken are there, with their digests.
void check(StateDir& state, const LoadedImage& image) {
  const auto is_whole = [&](const Descriptor& blob) {
    if (state.content().read_blob(blob.digest, 1u << 30).size() != blob.size) std::abort();
  };
  is_whole(image.target);
  // Of an index other platforms' images may be missing, but not all.
  const StoredImage stored = read_stored_image(state.content(), image.target);
  if (stored.manifests.empty()) std::abort();
  for (const auto& one : stored.manifests) {
    is_whole(one.descriptor);
    is_whole(one.manifest.config);
    for (const auto& layer : one.manifest.layers) is_whole(layer);
  }
  for (const auto& name : image.names) {
    const auto named = state.images().find(name);
    if (!named || named->target.digest != image.target.digest) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TempDir temp = TempDir::create("/dev/shm", "lade-fuzz-");
  static const auto state = StateDir::open(temp.path() + "/state");
  if (size == 0) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1) != 0) bytes = make_archive(bytes);
  try {
    const auto images = load_image_archive(state->images(), state->content(),
                                           std::make_unique<StringSource>(std::move(bytes)));
    if (images.empty()) std::abort();
    for (const auto& image : images) check(*state, image);
  } catch (const Error&) {
    if (!state->images().list().empty()) std::abort();
  }
  for (const auto& name : state->images().list()) state->images().remove(name.name);
  for (const auto& blob :
       std::filesystem::directory_iterator(temp.path() + "/state/blobs/sha256")) {
    std::filesystem::remove(blob.path());
  }
  for (const auto& entry : std::filesystem::directory_iterator(temp.path())) {
    if (entry.path().filename() != "state") std::abort();
  }
  return 0;
}
