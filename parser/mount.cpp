#include "parser/mount.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/grammar.hpp"
#include "parser/hint.hpp"

namespace lade::parser {
namespace {

const std::vector<std::pair<std::string, MountType>> kTypes{{"bind", MountType::bind},
                                                            {"cache", MountType::cache},
                                                            {"tmpfs", MountType::tmpfs},
                                                            {"secret", MountType::secret},
                                                            {"ssh", MountType::ssh}};

const std::vector<std::pair<std::string, CacheSharing>> kSharings{
    {"shared", CacheSharing::shared},
    {"private", CacheSharing::private_},
    {"locked", CacheSharing::locked}};

template <class Value>
Value named_value(const std::vector<std::pair<std::string, Value>>& names, std::string_view what,
                  const std::string& text) {
  std::vector<std::string> candidates;
  for (const auto& [name, value] : names) {
    if (name == to_lower(text)) return value;
    candidates.push_back(name);
  }
  throw error_with_nearest(fmt::format("unsupported {} {}", what, quoted(text)), text, candidates);
}

std::string type_name(MountType type) {
  return std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& t) { return t.second == type; })
      ->first;
}

[[noreturn]] void invalid(const std::string& key, const std::string& value) {
  throw Error(fmt::format("invalid value for {}: {}", key, quoted(value)));
}

bool to_bool(const std::string& key, const std::string& value) {
  const auto result = boolean(value);
  if (!result) invalid(key, value);
  return *result;
}

uint32_t to_number(const std::string& key, const std::string& value, int base) {
  uint32_t number = 0;
  const auto end = value.data() + value.size();
  const auto [rest, status] = std::from_chars(value.data(), end, number, base);
  if (status != std::errc() || rest != end) invalid(key, value);
  return number;
}

// Reads the options one after the other: what one may be depends on the `type` in front of it.
class Resolver {
 public:
  explicit Resolver(const Expander& expand) : expand_(expand) {}

  void add(const MountField& field) {
    const auto option = kOptions.find(field.key);
    const bool is_switch = option != kOptions.end() && option->second.is_switch;
    if (!field.value && !is_switch) {
      throw Error(fmt::format("invalid field {} must be a key=value pair", quoted(field.key)));
    }
    const auto value = field.value ? expand_(*field.value) : "true";
    if (option == kOptions.end()) {
      std::vector<std::string> keys;
      for (const auto& [key, unused] : kOptions) keys.push_back(key);
      throw error_with_nearest(fmt::format("unexpected key {} in --mount", quoted(field.key)),
                               field.key, keys);
    }
    (this->*option->second.set)(field.key, value);
  }

  ResolvedMount finish() {
    const auto type = mount_.type;
    const bool makes_file =
        type == MountType::secret || type == MountType::ssh || type == MountType::cache;
    const auto refuse = [&](bool given, std::string_view option) {
      if (!given || makes_file) return;
      throw Error(fmt::format("{} not allowed for '{}' type mounts", option, type_name(type)));
    };
    refuse(mount_.mode.has_value(), "mode");
    refuse(mount_.uid.has_value(), "uid");
    refuse(mount_.gid.has_value(), "gid");
    if (!access_given_) {
      mount_.read_only = type != MountType::cache && type != MountType::tmpfs;
    }
    if (type == MountType::secret) check_secret();
    if (mount_.sharing && type != MountType::cache) {
      throw Error(fmt::format("invalid cache sharing set for {} mount", type_name(type)));
    }
    return std::move(mount_);
  }

 private:
  using Setter = void (Resolver::*)(const std::string& key, const std::string& value);
  struct Option {
    Setter set;
    bool is_switch = false;  // may come without "=value"
  };
  static const std::map<std::string, Option, std::less<>> kOptions;

  void set_type(const std::string&, const std::string& value) {
    mount_.type = named_value(kTypes, "mount type", value);
  }
  void set_from(const std::string&, const std::string& value) { mount_.from = value; }
  void set_source(const std::string&, const std::string& value) { mount_.source = value; }
  void set_target(const std::string&, const std::string& value) { mount_.target = value; }
  void set_id(const std::string&, const std::string& value) { mount_.id = value; }
  void set_env(const std::string& key, const std::string& value) {
    if (value.empty()) invalid(key, value);
    mount_.env = value;
  }
  void set_read_only(const std::string& key, const std::string& value) {
    mount_.read_only = to_bool(key, value);
    access_given_ = true;
  }
  void set_read_write(const std::string& key, const std::string& value) {
    mount_.read_only = !to_bool(key, value);
    access_given_ = true;
  }
  void set_required(const std::string& key, const std::string& value) {
    require_type(key, mount_.type == MountType::secret || mount_.type == MountType::ssh);
    mount_.required = to_bool(key, value);
  }
  void set_size(const std::string& key, const std::string& value) {
    require_type(key, mount_.type == MountType::tmpfs);
    const auto size = byte_size(value);
    if (!size) invalid(key, value);
    mount_.size = *size;
  }
  void set_sharing(const std::string&, const std::string& value) {
    mount_.sharing = named_value(kSharings, "sharing value", value);
  }
  void set_mode(const std::string& key, const std::string& value) {
    mount_.mode = to_number(key, value, 8);
  }
  void set_uid(const std::string& key, const std::string& value) {
    mount_.uid = to_number(key, value, 10);
  }
  void set_gid(const std::string& key, const std::string& value) {
    mount_.gid = to_number(key, value, 10);
  }

  void require_type(const std::string& key, bool fits) const {
    if (fits) return;
    throw Error(
        fmt::format("unexpected key {} for mount type '{}'", quoted(key), type_name(mount_.type)));
  }

  void check_secret() const {
    if (!mount_.from.empty()) throw Error("secret mount should not have a from");
    if (mount_.sharing) throw Error("secret mount should not define sharing");
    if (mount_.source.empty() && mount_.target.empty() && mount_.id.empty()) {
      throw Error("invalid secret mount: one of source, target, id is required");
    }
    if (!mount_.source.empty() && !mount_.id.empty()) {
      throw Error("a secret mount cannot have both source and id");
    }
  }

  const Expander& expand_;
  ResolvedMount mount_;
  bool access_given_ = false;
};

const std::map<std::string, Resolver::Option, std::less<>> Resolver::kOptions{
    {"type", {&Resolver::set_type}},
    {"from", {&Resolver::set_from}},
    {"source", {&Resolver::set_source}},
    {"src", {&Resolver::set_source}},
    {"target", {&Resolver::set_target}},
    {"dst", {&Resolver::set_target}},
    {"destination", {&Resolver::set_target}},
    {"readonly", {&Resolver::set_read_only, true}},
    {"ro", {&Resolver::set_read_only, true}},
    {"readwrite", {&Resolver::set_read_write, true}},
    {"rw", {&Resolver::set_read_write, true}},
    {"required", {&Resolver::set_required, true}},
    {"size", {&Resolver::set_size}},
    {"id", {&Resolver::set_id}},
    {"sharing", {&Resolver::set_sharing}},
    {"mode", {&Resolver::set_mode}},
    {"uid", {&Resolver::set_uid}},
    {"gid", {&Resolver::set_gid}},
    {"env", {&Resolver::set_env}},
};

}  // namespace

ResolvedMount resolve_mount(const RunMount& mount, const Expander& expand) {
  Resolver resolver(expand);
  for (const auto& field : mount.fields) resolver.add(field);
  return resolver.finish();
}

}  // namespace lade::parser
