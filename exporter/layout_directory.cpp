#include "exporter/layout_directory.hpp"

#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/file_lock.hpp"
#include "base/json/json_reader.hpp"
#include "base/json/json_writer.hpp"
#include "base/sys.hpp"
#include "exporter/blob_check.hpp"
#include "exporter/image_documents.hpp"
#include "exporter/output_file.hpp"

namespace lade {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxIndex = 4u << 20;
// The tag that BuildKit's clients give an image without a name.
constexpr std::string_view kDefaultTag = "latest";

// Remembers what it made and takes it away again unless told to keep it.
class Undo {
 public:
  ~Undo() {
    for (auto path = made_.rbegin(); path != made_.rend(); ++path) {
      if (::unlink(path->c_str()) != 0) ::rmdir(path->c_str());
    }
  }
  void made(std::string path) { made_.push_back(std::move(path)); }
  void keep() { made_.clear(); }

  // mkdir -p
  void make_directory(const std::string& path) {
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string prefix = path.substr(0, end);
      if (::mkdir(prefix.c_str(), 0755) == 0) {
        made(prefix);
      } else if (errno != EEXIST) {
        throw_errno("could not make the directory " + lade::quoted(prefix));
      }
      if (end == std::string::npos) return;
    }
  }

 private:
  std::vector<std::string> made_;
};

// The lock file of BuildKit's ociindex, which removes it after use: holding a file that is no
// longer there holds nothing.
class IndexLock {
 public:
  explicit IndexLock(std::string path) : path_(std::move(path)) {
    for (;;) {
      fd_ = sys::open(path_, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
      lock_file(fd_.get(), LOCK_EX, lade::quoted(path_));
      const auto present = sys::lstatat(AT_FDCWD, path_);
      if (present && present->st_ino == sys::fstat(fd_.get()).st_ino) return;
    }
  }
  ~IndexLock() { ::unlink(path_.c_str()); }
  IndexLock(const IndexLock&) = delete;
  IndexLock& operator=(const IndexLock&) = delete;

 private:
  std::string path_;
  UniqueFd fd_;
};

Json parse_document(const std::string& path, const std::string& text) {
  Json document = parse_foreign_json(text);
  if (!document.is_object())
    throw Error(lade::quoted(path) + " is not a JSON object", ErrorKind::corrupt);
  return document;
}

void check_layout_version(const std::string& path, const std::string& text) {
  const Json document = parse_document(path, text);
  const auto version = document.find("imageLayoutVersion");
  if (version == document.end() || !version->is_string() || *version != kLayoutVersion) {
    throw Error(lade::quoted(path) + " is of an image layout version other than " +
                std::string(kLayoutVersion));
  }
}

std::string annotation(const Json& entry, std::string_view key) {
  const auto annotations = entry.find("annotations");
  if (annotations == entry.end() || !annotations->is_object()) return {};
  const auto value = annotations->find(key);
  if (value == annotations->end() || !value->is_string()) return {};
  return value->get<std::string>();
}

bool same_name(const Json& a, const Json& b) {
  return annotation(a, kNameAnnotation) == annotation(b, kNameAnnotation) &&
         annotation(a, kRefNameAnnotation) == annotation(b, kRefNameAnnotation);
}

// The old index with the new entries at its end. Fields that lade does not know are kept.
std::string merge_index(const std::string& path, const std::optional<std::string>& old,
                        const std::vector<Descriptor>& entries) {
  if (!old) return index_document(entries);
  Json document = parse_document(path, *old);
  Json& manifests = document["manifests"];
  if (manifests.is_null()) manifests = Json::array();
  if (!manifests.is_array()) {
    throw Error(lade::quoted(path) + ": \"manifests\" is not an array", ErrorKind::corrupt);
  }
  for (const Descriptor& entry : entries) {
    JsonWriter writer;
    write_json(writer, entry);
    Json added = Json::parse(writer.take());
    Json kept = Json::array();
    for (Json& present : manifests) {
      if (!present.is_object() || !same_name(present, added)) kept.push_back(std::move(present));
    }
    kept.push_back(std::move(added));
    manifests = std::move(kept);
  }
  return document.dump();
}

void update_index(const std::string& path, const std::vector<Descriptor>& entries) {
  const IndexLock lock(path + ".lock");
  const auto old = sys::read_file(path, kMaxIndex);
  sys::write_file_atomically(path, merge_index(path, old, entries));
}

void add_blob(StateDir& state, const Descriptor& blob, const std::string& dir, Undo& undo) {
  const std::string path = dir + "/" + blob.digest.hex();
  const auto present = sys::lstatat(AT_FDCWD, path);
  // A blob of another size is what an interrupted writer left.
  if (present && S_ISREG(present->st_mode) &&
      static_cast<uint64_t>(present->st_size) == blob.size) {
    return;
  }
  const UniqueFd from = open_image_blob(state, blob);
  OutputFile out = OutputFile::create(path);
  BlobCheck check(from.get(), blob);
  out.copy_from(from.get(), blob.size);
  check.finish();
  out.commit();
  if (!present) undo.made(path);
}

}  // namespace

UniqueFd open_image_blob(StateDir& state, const Descriptor& blob) {
  auto fd = state.content().open_blob(blob.digest);
  if (!fd) {
    throw Error("the blob " + blob.digest.str() + " is not in the content store",
                ErrorKind::not_found);
  }
  const auto size = static_cast<uint64_t>(sys::fstat(fd->get()).st_size);
  if (size != blob.size) {
    throw Error(
        fmt::format("the blob {} has {} bytes instead of {}", blob.digest.str(), size, blob.size),
        ErrorKind::corrupt);
  }
  return std::move(*fd);
}

void add_to_layout(StateDir& state, const WrittenSet& image,
                   const std::vector<std::string>& full_names, const std::string& dest,
                   const std::vector<Descriptor>& others) {
  check_output_directory(dest);
  const std::string layout_path = dest + "/oci-layout";
  const std::string index_path = dest + "/index.json";
  // What is there is judged before anything is written.
  const auto layout = sys::read_file(layout_path, kMaxIndex);
  if (layout) check_layout_version(layout_path, *layout);
  const std::vector<Descriptor> entries = index_entries(image, full_names, kDefaultTag);
  merge_index(index_path, sys::read_file(index_path, kMaxIndex), entries);

  Undo undo;
  undo.make_directory(dest + "/blobs/sha256");
  for (const Descriptor& blob : all_blobs(image)) {
    add_blob(state, blob, dest + "/blobs/sha256", undo);
  }
  for (const Descriptor& blob : others) add_blob(state, blob, dest + "/blobs/sha256", undo);
  if (!layout) {
    sys::write_file_atomically(layout_path, kLayoutDocument);
    undo.made(layout_path);
  }
  update_index(index_path, entries);
  undo.keep();
}

void check_layout(const std::string& dir) {
  const std::string path = dir + "/oci-layout";
  if (const auto layout = sys::read_file(path, kMaxIndex)) check_layout_version(path, *layout);
}

void set_layout_entry(const std::string& dir, const Descriptor& entry) {
  const std::string path = dir + "/oci-layout";
  if (!sys::read_file(path, kMaxIndex)) sys::write_file_atomically(path, kLayoutDocument);
  update_index(dir + "/index.json", {entry});
}

}  // namespace lade
