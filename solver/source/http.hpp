// The HTTP source: one file of a web server, as a layer that holds just it.
//
// Ops: "http://..." or "https://...", with the attributes
//   filename       the file's name; else Content-Disposition's, else the last part of the URL's
//   path checksum       "sha256:...", what the content must be; then nothing is asked if it is
//   known perm, uid, gid octal mode (default 600) and owner (default 0:0)
// The file's time is the response's Last-Modified, or 1970. What validators (ETag, Last-Modified) a
// URL's response had is kept in the state database, so that a file that has not changed is not
// downloaded again.
#pragma once

#include <memory>

#include "base/child_process.hpp"
#include "snapshotter/state.hpp"
#include "solver/source/remote_source.hpp"

namespace lade {

/// What is passed must outlive the source.
std::unique_ptr<RemoteSource> make_http_source(StateDir& state, const RemoteSourceOptions& options,
                                               const Cancellation& cancellation);

}  // namespace lade
