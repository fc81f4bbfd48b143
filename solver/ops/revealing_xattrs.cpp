#include "solver/ops/revealing_xattrs.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"

namespace lade {
namespace {

constexpr size_t max_named = 3;

bool is_url_with_query(const std::string& value) {
  const size_t scheme = value.find("://");
  return scheme != std::string::npos && value.find('?', scheme) != std::string::npos;
}

}  // namespace

std::optional<std::string> revealing_xattr(const Entry& entry) {
  const auto found = std::ranges::find_if(entry.xattrs, [](const sys::Xattr& xattr) {
    return xattr.name.starts_with("user.") && is_url_with_query(xattr.value);
  });
  if (found == entry.xattrs.end()) return std::nullopt;
  return found->name;
}

std::vector<std::string> revealing_warnings(const std::vector<RevealingFile>& files) {
  std::vector<std::string> out;
  for (const auto& file : files) {
    if (out.size() == max_named) {
      out.push_back(fmt::format("{} more files have such attributes", files.size() - max_named));
      break;
    }
    out.push_back(fmt::format(
        "{} has the attribute {}, a URL whose query may be a secret, and the image has it now, too "
        "(setfattr -x {} FILE takes it away)",
        quoted(file.path), file.xattr, file.xattr));
  }
  return out;
}

}  // namespace lade
