// export_oci() into a tar, and export_docker(). Entries are sorted by name, times are 0, owners
// root, modes BuildKit's, so equal images give equal bytes. libarchive makes the headers; the
// blobs' bytes go from file to file in the kernel, past it.
#include <cerrno>
#include <map>

#include <archive.h>
#include <archive_entry.h>

#include "base/error.hpp"
#include "exporter/blob_check.hpp"
#include "exporter/image_documents.hpp"
#include "exporter/layout_directory.hpp"
#include "exporter/output_file.hpp"

namespace lade {
namespace {

constexpr size_t kTarBlock = 512;

struct TarEntry {
  mode_t mode = 0444;
  std::string text;                ///< what the entry holds, or:
  std::optional<Descriptor> blob;  ///< the blob that it is
  bool directory = false;
};
using TarEntries = std::map<std::string, TarEntry>;

struct FreeArchive {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

void check(archive* writer, int status) {
  if (status != ARCHIVE_OK) {
    const char* reason = archive_error_string(writer);
    throw Error(std::string("could not write a tar header: ") + (reason ? reason : "unknown"));
  }
}

struct HeaderBytes {
  std::string bytes;
  bool complete = false;
};

// After the header nothing more is taken: closing the writer would fill up the data that the header
// promised.
la_ssize_t append(archive* writer, void* header, const void* bytes, size_t size) {
  auto* target = static_cast<HeaderBytes*>(header);
  if (target->complete) {
    archive_set_error(writer, ECANCELED, "only the header is wanted");
    return -1;
  }
  target->bytes.append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

// One ustar header, preceded by a PAX one where it must be (blobs of 8 GiB and more).
std::string tar_header(const std::string& name, const TarEntry& what, uint64_t size) {
  HeaderBytes header;  // outlives the writer
  const std::unique_ptr<archive, FreeArchive> writer(archive_write_new());
  const std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
  if (!writer || !entry) throw Error("out of memory");
  check(writer.get(), archive_write_set_format_pax_restricted(writer.get()));
  check(writer.get(), archive_write_set_bytes_per_block(writer.get(), 0));
  check(writer.get(),
        archive_write_open2(writer.get(), &header, nullptr, append, nullptr, nullptr));
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), what.directory ? AE_IFDIR : AE_IFREG);
  archive_entry_set_perm(entry.get(), what.mode);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  archive_entry_set_mtime(entry.get(), 0, 0);
  check(writer.get(), archive_write_header(writer.get(), entry.get()));
  header.complete = true;
  return std::move(header.bytes);
}

void write_entries(StateDir& state, const TarEntries& entries, OutputFile& out) {
  const std::string zeros(2 * kTarBlock, '\0');
  for (const auto& [name, entry] : entries) {
    const uint64_t size = entry.blob ? entry.blob->size : entry.text.size();
    out.write(tar_header(name, entry, size));
    if (entry.blob) {
      const UniqueFd fd = open_image_blob(state, *entry.blob);
      BlobCheck check(fd.get(), *entry.blob);
      out.copy_from(fd.get(), size);
      check.finish();
    } else {
      out.write(entry.text);
    }
    if (size % kTarBlock != 0) out.write({zeros.data(), kTarBlock - size % kTarBlock});
  }
  out.write(zeros);
}

TarEntries layout_entries(const std::vector<ArchivedImage>& images) {
  TarEntries entries;
  entries["blobs/"] = {.mode = 0755, .text = {}, .blob = {}, .directory = true};
  entries["blobs/sha256/"] = {.mode = 0755, .text = {}, .blob = {}, .directory = true};
  std::vector<Descriptor> index;
  for (const ArchivedImage& image : images) {
    std::vector<Descriptor> blobs = all_blobs(image.image);
    blobs.insert(blobs.end(), image.others.begin(), image.others.end());
    for (const Descriptor& blob : blobs) {
      entries["blobs/sha256/" + blob.digest.hex()] = {.text = {}, .blob = blob};
    }
    const auto named = index_entries(image.image, normalized_names(image.names), "");
    index.insert(index.end(), named.begin(), named.end());
  }
  entries["index.json"] = {.mode = 0644, .text = index_document(index), .blob = {}};
  entries["oci-layout"] = {.text = std::string(kLayoutDocument), .blob = {}};
  return entries;
}

const WrittenImage& for_this_machine(const WrittenSet& set) {
  const WrittenImage* best = &set.images.front();
  std::optional<size_t> best_rank;
  for (const WrittenImage& image : set.images) {
    const auto rank = Platform::host().rank(image.parsed_config.platform.normalized());
    if (!rank || (best_rank && *best_rank <= *rank)) continue;
    best = &image;
    best_rank = rank;
  }
  return *best;
}

}  // namespace

void export_oci(StateDir& state, const WrittenSet& image, const OciOutput& output) {
  export_oci_archive(state, {{image, output.names, {}}}, output.dest, output.tar);
}

void export_oci_archive(StateDir& state, const std::vector<ArchivedImage>& images,
                        const std::string& dest, bool tar) {
  if (!tar) {
    for (const ArchivedImage& image : images) {
      add_to_layout(state, image.image, normalized_names(image.names), dest, image.others);
    }
    return;
  }
  OutputFile out = OutputFile::create(dest);
  write_entries(state, layout_entries(images), out);
  out.commit();
}

void export_docker(StateDir& state, const WrittenSet& image, const DockerOutput& output) {
  if (image.images.size() != 1) {
    Error error("a docker tarball holds one platform only", ErrorKind::usage);
    error.set_hint("use type=oci for several");
    throw error;
  }
  export_docker_archive(state, {{image, output.names, {}}}, output.dest);
}

void export_docker_archive(StateDir& state, const std::vector<ArchivedImage>& images,
                           const std::string& dest) {
  TarEntries entries = layout_entries(images);
  std::vector<DockerEntry> listed;
  for (const ArchivedImage& image : images) {
    listed.push_back({&for_this_machine(image.image), normalized_names(image.names)});
  }
  entries["manifest.json"] = {.mode = 0644, .text = docker_manifest_document(listed), .blob = {}};
  OutputFile out = OutputFile::create(dest);
  write_entries(state, entries, out);
  out.commit();
}

}  // namespace lade
