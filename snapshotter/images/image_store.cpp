#include "snapshotter/images/image_store.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "snapshotter/content/descriptor_row.hpp"

namespace lade {
namespace {

/// Throws Error that says how the name can be got rid of.
Descriptor parse_target(const std::string& name, const std::string& text) {
  try {
    return parse_descriptor(text);
  } catch (const Error& cause) {
    Error error(fmt::format("the image name {}: {}", quoted(name), cause.message()),
                ErrorKind::corrupt);
    error.set_hint("forget the name with: lade rmi " + name);
    throw error;
  }
}

}  // namespace

std::string_view ImageStore::schema() {
  return R"(
CREATE TABLE IF NOT EXISTS images(
  name TEXT PRIMARY KEY,
  descriptor TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  of_client INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS resolutions(
  reference TEXT PRIMARY KEY,
  descriptor TEXT NOT NULL,
  resolved_at INTEGER NOT NULL
) WITHOUT ROWID;
)";
}

void ImageStore::put(const std::string& name, const Descriptor& target, NamedBy by) {
  database_.prepare("INSERT OR REPLACE INTO images VALUES(?, ?, unixepoch(), ?)")
      .bind(name)
      .bind(descriptor_text(target))
      .bind(int64_t{by == NamedBy::client})
      .run();
}

std::optional<ImageName> ImageStore::find(const std::string& name) const {
  auto row =
      database_.prepare("SELECT descriptor, created_at, of_client FROM images WHERE name = ?");
  if (!row.bind(name).step()) return std::nullopt;
  return ImageName{name, parse_target(name, row.text(0)), row.integer(1), row.integer(2) != 0};
}

std::vector<ImageName> ImageStore::list() const {
  std::vector<ImageName> out;
  auto row =
      database_.prepare("SELECT name, descriptor, created_at, of_client FROM images ORDER BY name");
  while (row.step()) {
    const std::string name = row.text(0);
    out.push_back({name, parse_target(name, row.text(1)), row.integer(2), row.integer(3) != 0});
  }
  return out;
}

std::optional<std::string> ImageStore::name_of(const Digest& target) const {
  auto row =
      database_.prepare("SELECT name, descriptor FROM images WHERE instr(descriptor, ?) > 0");
  row.bind(std::string_view(target.str()));
  while (row.step()) {
    // Annotations may mention it, too.
    const auto descriptor = try_parse_descriptor(row.text(1));
    if (descriptor && descriptor->digest == target) return row.text(0);
  }
  return std::nullopt;
}

bool ImageStore::is_damaged(const std::string& name) const {
  auto row = database_.prepare("SELECT descriptor FROM images WHERE name = ?");
  return row.bind(name).step() && !try_parse_descriptor(row.text(0));
}

bool ImageStore::remove(const std::string& name) {
  const auto lock = database_.lock();
  database_.prepare("DELETE FROM images WHERE name = ?").bind(name).run();
  return database_.changes() > 0;
}

void ImageStore::record_resolution(const std::string& reference, const Descriptor& target) {
  database_.prepare("INSERT OR REPLACE INTO resolutions VALUES(?, ?, unixepoch())")
      .bind(reference)
      .bind(descriptor_text(target))
      .run();
}

std::optional<Descriptor> ImageStore::resolution(const std::string& reference) const {
  auto row = database_.prepare("SELECT descriptor FROM resolutions WHERE reference = ?");
  if (!row.bind(reference).step()) return std::nullopt;
  // What is damaged is asked for again.
  return try_parse_descriptor(row.text(0));
}

std::vector<ImageName> ImageStore::list_resolutions() const {
  std::vector<ImageName> out;
  auto row =
      database_.prepare("SELECT reference, descriptor, resolved_at FROM resolutions ORDER BY 1");
  while (row.step()) {
    auto target = try_parse_descriptor(row.text(1));
    if (target) out.push_back({row.text(0), std::move(*target), row.integer(2)});
  }
  return out;
}

bool ImageStore::forget_resolution(const std::string& reference) {
  const auto lock = database_.lock();
  database_.prepare("DELETE FROM resolutions WHERE reference = ?").bind(reference).run();
  return database_.changes() > 0;
}

void ImageStore::forget_resolutions() {
  database_.execute("DELETE FROM resolutions");
}

}  // namespace lade
