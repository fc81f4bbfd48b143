// Extended attributes that are no part of a layer's content: overlayfs's own marks (kernel:
// Documentation/filesystems/overlayfs.rst) and the labels of a host's security modules.
#pragma once

#include <string>
#include <string_view>

namespace lade {

/// In a user namespace nobody makes devices: an empty file with this xattr stands for one, so that
/// a step sees a name that it can keep, change and remove, and the image has the device.
inline constexpr const char* kDeviceMark = "user.lade.device";

/// Overlay's own xattrs, in either namespace, also those of overlays nested in one
/// ("trusted.overlay.overlay.opaque"), and lade's: never in indexes, digests or tars.
inline bool is_overlay_xattr(std::string_view name) {
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.") ||
         name == kDeviceMark;
}

/// Labels that the host's security modules put on every file (SELinux, Smack, IMA): neither kept
/// from tars nor found in directories.
inline bool is_host_xattr(std::string_view name) {
  return name.starts_with("security.") && name != "security.capability";
}

/// "trusted.overlay.opaque", or "user.overlay.opaque" for a mount with `userxattr`.
inline std::string overlay_xattr(bool userxattr, std::string_view name) {
  return std::string(userxattr ? "user.overlay." : "trusted.overlay.").append(name);
}

}  // namespace lade
