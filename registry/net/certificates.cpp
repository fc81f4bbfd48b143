#include "registry/net/certificates.hpp"

#include <algorithm>

#include <fcntl.h>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxCertificates = 4u << 20;

/// `name` with another ending must be among the sorted `names`.
void require(const std::string& directory, const std::vector<std::string>& names,
             const std::string& name, const std::string& other) {
  if (std::binary_search(names.begin(), names.end(), other)) return;
  throw Error(fmt::format("{} has no {} beside it", quoted(directory + "/" + name), quoted(other)));
}

}  // namespace

TlsOptions host_certificates(const std::vector<std::string>& directories, const std::string& host) {
  TlsOptions out;
  for (const auto& parent : directories) {
    const std::string directory = parent + "/" + host;
    const auto dir = sys::try_openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    if (!dir) continue;
    const auto names = sys::list_dir(dir->get());
    for (const auto& name : names) {
      const size_t dot = name.rfind('.');
      if (dot == std::string::npos) continue;
      const std::string stem = name.substr(0, dot);
      const std::string ending = name.substr(dot);
      if (ending == ".crt") {
        out.ca += sys::read_file_at(dir->get(), name, kMaxCertificates).value_or("");
        out.ca += '\n';
      } else if (ending == ".cert") {
        require(directory, names, name, stem + ".key");
        if (!out.certificate.empty()) continue;
        out.certificate = directory + "/" + name;
        out.key = directory + "/" + stem + ".key";
      } else if (ending == ".key") {
        require(directory, names, name, stem + ".cert");
      }
    }
    break;
  }
  return out;
}

}  // namespace lade
