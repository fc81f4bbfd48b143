// certs.d: authorities and client certificates of single registries
// (containers-certs.d(5), and Docker's /etc/docker/certs.d).
#pragma once

#include <string>
#include <vector>

#include "registry/net/http.hpp"

namespace lade {

/// What the first of `directories` that has a directory named `host` (with its port, if any) says:
/// *.crt are authorities, NAME.cert with NAME.key a client certificate (the first by name, if there
/// are several). Nothing, if none has. Throws Error for a certificate without its key and the other
/// way round.
TlsOptions host_certificates(const std::vector<std::string>& directories, const std::string& host);

}  // namespace lade
