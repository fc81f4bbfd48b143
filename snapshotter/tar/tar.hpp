// Layer tars: encoding and decoding with libarchive (hdrcharset=BINARY, PAX, SCHILY.xattr),
// whiteouts as the OCI image-spec's layer.md has them (".wh.NAME", ".wh..wh..opq").
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/stream.hpp"
#include "snapshotter/content/image_config.hpp"
#include "snapshotter/tree/layer_index.hpp"

namespace lade {

struct TarOptions {
  /// SOURCE_DATE_EPOCH with rewrite-timestamp: later mtimes are set to this.
  std::optional<Timestamp> clamp_mtime;
};

/// Names that mean deletions in a layer's tar.
inline constexpr std::string_view kWhiteoutPrefix = ".wh.";
inline constexpr std::string_view kOpaqueMarker = ".wh..wh..opq";

/// Opens the bytes of a regular file of an index for reading.
using OpenContent = std::function<UniqueFd(const Entry&)>;

/// Writes `index` as a layer tar to `out` (and finish()es nothing: the caller owns the sink).
/// Deterministic: the same entries give the same bytes. Whiteouts and opaque markers become .wh.
/// files; hard links after the first of their group become link entries; sockets are left out.
void write_layer_tar(const LayerIndex& index, const OpenContent& open, ByteSink& out,
                     const TarOptions& options = {});

/// Throws Error for a file whose name would mean a deletion in a layer's tar ("x/.wh.y").
void refuse_marker_name(const Entry& entry);

/// The same for a merged view without whiteout handling (rootfs tar export): `entries` in walk
/// order. Entries of the same hardlink_group become links.
void write_rootfs_tar(const std::vector<Entry>& entries, const OpenContent& open, ByteSink& out,
                      const TarOptions& options = {});

enum class TarDialect {
  layer,  ///< .wh. names are whiteouts
  plain,  ///< .wh. names are ordinary files (ADD archives, imported root filesystems)
};

/// A hard link of a tar to a file that the tar itself does not have: one that lies where it is
/// unpacked already. The attributes are the link's own.
struct OutwardLink {
  std::string path;
  std::string target;
  Entry attributes;
};

/// In what an extracted tree is not what its tar says.
struct ExtractionNotes {
  std::vector<std::string> implied;  ///< directories that no entry of the tar names itself
  /// Entries as the tar has them, some of whose xattrs the filesystem had no room for.
  std::vector<Entry> without_room;
  /// Of plain tars, in the tar's order. They are not in the tree.
  std::vector<OutwardLink> outward_links;
};

/// Unpacks `tar` (plain, uncompressed bytes) into the empty directory `dir`, an overlay-ready tree:
/// whiteouts as char 0:0, opaque directories as xattr (`userxattr`: user.overlay.opaque instead of
/// trusted.). Returns the index with content digests. Everything untrusted: names with "..",
/// entries over char 0:0, overlay xattrs, absurd sizes are refused (Error(corrupt) naming the
/// entry); names below symlinks of the archive go where those lead with `dir` as the root; nothing
/// is written outside `dir`. What is behind the end of a plain archive is ignored. Parents that the
/// tar leaves out are made (0755 0:0, mtime 0) and are in the index, since an overlay shows them. A
/// later entry of the same name replaces an earlier one. Hard links to nothing in the tar are an
/// error, unless it is a plain one and there are `notes` to take them.
LayerIndex extract_tar(ByteSource& tar, int dir, TarDialect dialect, bool userxattr = false,
                       ExtractionNotes* notes = nullptr);

}  // namespace lade
