#include "snapshotter/tree/users.hpp"

#include <algorithm>
#include <charconv>
#include <functional>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxFile = 10 << 20;
constexpr int64_t kMaxId = INT32_MAX;           // of processes: what Docker and containerd accept
constexpr int64_t kMaxFileId = UINT32_MAX - 1;  // of files: -1 means "unchanged" to chown

struct Passwd {
  std::string name;
  int64_t uid = 0;
  int64_t gid = 0;
  std::string home;
};

struct Group {
  std::string name;
  int64_t gid = 0;
  std::vector<std::string> members;
};

/// "user:group" -> both halves; no colon: no group.
struct Halves {
  std::string user;
  std::optional<std::string> group;

  explicit Halves(std::string_view spec) {
    const size_t colon = spec.find(':');
    user = spec.substr(0, colon);
    if (colon != std::string_view::npos) group = spec.substr(colon + 1);
  }
};

/// Decimal digits with an optional sign; nullopt for anything else, Error out of range.
std::optional<uint32_t> number(std::string_view text, int64_t max = kMaxId) {
  std::string_view digits = text;
  if (digits.starts_with('+') || digits.starts_with('-')) digits.remove_prefix(1);
  const bool numeric = !digits.empty() && std::all_of(digits.begin(), digits.end(),
                                                      [](char c) { return c >= '0' && c <= '9'; });
  if (!numeric) return std::nullopt;
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (failure != std::errc() || value > max || (text[0] == '-' && value != 0)) {
    throw Error(fmt::format("{} is out of range: uids and gids are 0 to {}", quoted(text), max));
  }
  return static_cast<uint32_t>(value);
}

/// BuildKit's shorthand: "root" is 0 without a look at the image.
std::optional<uint32_t> number_or_root(std::string_view text, int64_t max = kMaxId) {
  return text == "root" ? std::optional<uint32_t>(0) : number(text, max);
}

/// A number field of passwd or group; what is none counts as 0, as in the Go library all builders
/// use.
int64_t lenient_number(const std::string& text) {
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc() && end == text.data() + text.size() ? value : 0;
}

uint32_t checked(int64_t id, std::string_view whose) {
  if (id < 0 || id > kMaxId)
    throw Error(fmt::format("the id of {} is out of range", quoted(whose)));
  return static_cast<uint32_t>(id);
}

/// Calls `each` with the fields of every line until it returns false. Missing and irregular files
/// are empty.
void read_lines(const MergedIndex& image, const OpenFound& open, const std::string& path,
                const std::function<bool(const std::vector<std::string>&)>& each) {
  const auto found = image.resolve(path);
  if (!found || found->entry->type != EntryType::regular) return;
  FdSource source(open(*found));
  const std::string text = read_all(source, kMaxFile, "the image's " + path);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const auto line = trim(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    if (!line.empty() && !each(split(line, ':'))) return;
  }
}

std::string field(const std::vector<std::string>& fields, size_t index) {
  return index < fields.size() ? fields[index] : "";
}

std::optional<Passwd> find_passwd(const MergedIndex& image, const OpenFound& open,
                                  const std::function<bool(const Passwd&)>& matches) {
  std::optional<Passwd> out;
  read_lines(image, open, "etc/passwd", [&](const auto& fields) {
    Passwd entry{fields[0], lenient_number(field(fields, 2)), lenient_number(field(fields, 3)),
                 field(fields, 5)};
    if (!matches(entry)) return true;
    out = std::move(entry);
    return false;
  });
  return out;
}

std::vector<Group> find_groups(const MergedIndex& image, const OpenFound& open,
                               const std::function<bool(const Group&)>& matches) {
  std::vector<Group> out;
  read_lines(image, open, "etc/group", [&](const auto& fields) {
    if (fields[0].starts_with('#')) return true;
    Group entry{fields[0], lenient_number(field(fields, 2)), split(field(fields, 3), ',')};
    if (matches(entry)) out.push_back(std::move(entry));
    return true;
  });
  return out;
}

uint32_t find_gid(const std::string& wanted, const MergedIndex& image, const OpenFound& open) {
  const auto gid = number(wanted);
  // A number stays what it is, whether or not the image knows it.
  if (gid) return *gid;
  const auto groups =
      find_groups(image, open, [&](const Group& group) { return group.name == wanted; });
  if (groups.empty()) {
    throw Error(fmt::format("unable to find group {}: no matching entries in group file", wanted),
                ErrorKind::not_found);
  }
  return checked(groups[0].gid, wanted);
}

}  // namespace

std::optional<UserSpec> numeric_user(std::string_view spec) {
  const Halves halves(spec);
  if (!halves.group) return std::nullopt;
  const auto uid = number_or_root(halves.user);
  const auto gid = number_or_root(*halves.group);
  if (!uid || !gid) return std::nullopt;
  return UserSpec{*uid, *gid, {*gid}};
}

UserSpec resolve_user(std::string_view spec, const MergedIndex& image, const OpenFound& open) {
  if (const auto numeric = numeric_user(spec)) return *numeric;
  const Halves halves(spec);
  // No user is user 0, who need not be in the passwd file.
  const std::string wanted = halves.user.empty() ? "0" : halves.user;
  const auto uid = number(wanted);
  const auto user = find_passwd(image, open, [&](const Passwd& entry) {
    return uid ? entry.uid == int64_t{*uid} : entry.name == wanted;
  });
  if (!user && !uid) {
    throw Error(fmt::format("unable to find user {}: no matching entries in passwd file", wanted),
                ErrorKind::not_found);
  }
  UserSpec out;
  out.uid = user ? checked(user->uid, wanted) : *uid;
  if (halves.group && !halves.group->empty()) {
    out.gid = find_gid(*halves.group, image, open);
    out.groups = {out.gid};
    return out;
  }
  out.gid = user ? checked(user->gid, wanted) : 0;
  out.groups = {out.gid};
  if (!user) return out;
  const auto supplementary = find_groups(image, open, [&](const Group& group) {
    return std::find(group.members.begin(), group.members.end(), user->name) != group.members.end();
  });
  for (const auto& group : supplementary) {
    const uint32_t gid = checked(group.gid, group.name);
    if (std::find(out.groups.begin(), out.groups.end(), gid) == out.groups.end()) {
      out.groups.push_back(gid);
    }
  }
  return out;
}

std::string home_of(uint32_t uid, const MergedIndex& image, const OpenFound& open) {
  const auto user = find_passwd(image, open, [&](const Passwd& entry) { return entry.uid == uid; });
  return user ? user->home : "/";
}

std::optional<ChownSpec> numeric_chown(std::string_view spec) {
  const Halves halves(spec);
  const auto uid = number_or_root(halves.user, kMaxFileId);
  // "user:" has no group, which is 0.
  const auto gid = !halves.group           ? uid
                   : halves.group->empty() ? std::optional<uint32_t>(0)
                                           : number_or_root(*halves.group, kMaxFileId);
  if (!uid || !gid) return std::nullopt;
  return ChownSpec{*uid, *gid, {}};
}

ChownSpec resolve_chown(std::string_view spec, const MergedIndex& image, const OpenFound& open) {
  if (auto numeric = numeric_chown(spec)) return *numeric;
  const Halves halves(spec);
  ChownSpec out;
  if (const auto uid = number_or_root(halves.user, kMaxFileId)) {
    out.uid = out.gid = *uid;
  } else if (const auto user = find_passwd(
                 image, open, [&](const Passwd& entry) { return entry.name == halves.user; })) {
    out.uid = checked(user->uid, halves.user);
    out.gid = checked(user->gid, halves.user);
  } else if (!halves.user.empty()) {
    out.unknown.push_back(halves.user);
  }
  if (!halves.group) return out;
  if (halves.group->empty()) {
    out.gid = 0;
    return out;
  }
  if (const auto gid = number_or_root(*halves.group, kMaxFileId)) {
    out.gid = *gid;
    return out;
  }
  const auto groups =
      find_groups(image, open, [&](const Group& group) { return group.name == *halves.group; });
  if (groups.empty()) {
    out.unknown.push_back(*halves.group);
  } else {
    out.gid = checked(groups[0].gid, *halves.group);
  }
  return out;
}

}  // namespace lade
