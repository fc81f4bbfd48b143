#include "snapshotter/content/reference.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

constexpr std::string_view kDockerHub = "docker.io";
constexpr std::string_view kLegacyDockerHub = "index.docker.io";
constexpr std::string_view kOfficial = "library/";
constexpr size_t kMaxRepositoryLength = 255;
constexpr size_t kMaxTagLength = 128;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower_alnum(char c) {
  return (c >= 'a' && c <= 'z') || is_digit(c);
}
bool is_alnum(char c) {
  return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f');
}

template <class Predicate>
bool all(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

[[noreturn]] void invalid_reference(std::string_view text, std::string_view why) {
  throw Error(fmt::format("invalid reference format: {}: {}", quoted(text), why));
}

/// domain-name: labels of letters, digits and inner hyphens, joined by dots.
bool is_domain_name(std::string_view text) {
  for (const auto& label : split(text, '.')) {
    if (label.empty() || label.starts_with('-') || label.ends_with('-')) return false;
    if (!all(label, [](char c) { return is_alnum(c) || c == '-'; })) return false;
  }
  return true;
}

/// host[:port], the host being a domain name or an IPv6 address in brackets.
bool is_registry(std::string_view text) {
  std::string_view port;
  const size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  if (const size_t colon = text.find(':', bracket); colon != std::string_view::npos) {
    port = text.substr(colon + 1);
    if (port.empty() || !all(port, is_digit)) return false;
    text = text.substr(0, colon);
  }
  if (bracket == 0) return is_domain_name(text);
  const std::string_view address = text.substr(1, text.size() - 2);
  return text.ends_with(']') && !address.empty() &&
         all(address, [](char c) { return is_hex(c) || (c >= 'A' && c <= 'F') || c == ':'; });
}

/// path-component: runs of lower-case letters and digits joined by one '.', one or two '_', or any
/// '-'.
bool is_path_component(std::string_view text) {
  if (text.empty() || !is_lower_alnum(text.front()) || !is_lower_alnum(text.back())) return false;
  for (size_t i = 0; i < text.size();) {
    if (is_lower_alnum(text[i])) {
      ++i;
      continue;
    }
    const size_t end = std::find_if(text.begin() + i, text.end(), is_lower_alnum) - text.begin();
    const std::string_view separator = text.substr(i, end - i);
    if (separator != "." && separator != "_" && separator != "__" &&
        !all(separator, [](char c) { return c == '-'; })) {
      return false;
    }
    i = end;
  }
  return true;
}

bool is_tag(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTagLength && (is_alnum(text[0]) || text[0] == '_') &&
         all(text, [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

/// Whether the part before the first slash is a registry rather than a folder on Docker Hub. Upper
/// case is not allowed in repositories, so it must be a host's.
bool looks_like_registry(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:") != std::string_view::npos ||
         to_lower(first) != first;
}

/// Splits `text` at its registry and fills in what Docker leaves out; returns the rest.
std::string split_registry(std::string_view text, std::string& registry) {
  registry = kDockerHub;
  std::string rest(text);
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos && looks_like_registry(text.substr(0, slash))) {
    registry = text.substr(0, slash);
    rest = text.substr(slash + 1);
    if (registry == kLegacyDockerHub) registry = kDockerHub;
  }
  if (registry == kDockerHub && rest.find('/') == std::string::npos) {
    rest.insert(0, kOfficial);
  }
  return rest;
}

void check_repository(std::string_view text, const std::string& repository) {
  if (repository.size() > kMaxRepositoryLength) {
    invalid_reference(text, fmt::format("repository name must not be more than {} characters",
                                        kMaxRepositoryLength));
  }
  for (const auto& component : split(repository, '/')) {
    if (component.empty()) invalid_reference(text, "the repository name has an empty component");
    if (!is_path_component(component)) {
      invalid_reference(
          text, fmt::format("{} is not a valid part of a repository name (lower-case letters and "
                            "digits, separated by '.', '_', '__' or '-')",
                            quoted(component)));
    }
  }
}

}  // namespace

Reference Reference::parse(std::string_view text) {
  if (text.empty()) invalid_reference(text, "repository name must have at least one component");
  if (text.size() == 64 && all(text, is_hex)) {
    throw Error(fmt::format(
        "invalid repository name ({}), cannot specify 64-byte hexadecimal strings", text));
  }
  Reference out;
  std::string rest = split_registry(text, out.registry);
  if (!is_registry(out.registry)) {
    invalid_reference(text, quoted(out.registry) + " is not a valid registry (host or host:port)");
  }
  const std::string before_colon = rest.substr(0, rest.find(':'));
  if (to_lower(before_colon) != before_colon) {
    throw Error(fmt::format("invalid reference format: repository name ({}) must be lowercase",
                            before_colon));
  }
  if (const size_t at = rest.find('@'); at != std::string::npos) {
    with_context([&] { return "invalid reference format: " + quoted(text); },
                 [&] { out.digest = Digest::parse(rest.substr(at + 1)); });
    rest.resize(at);
  }
  if (const size_t colon = rest.find(':'); colon != std::string::npos) {
    out.tag = rest.substr(colon + 1);
    if (!is_tag(out.tag)) {
      invalid_reference(
          text, fmt::format("{} is not a valid tag (at most {} letters, digits, '_', '.' or '-')",
                            quoted(out.tag), kMaxTagLength));
    }
    rest.resize(colon);
  } else if (!out.digest) {
    out.tag = "latest";
  }
  check_repository(text, rest);
  out.repository = std::move(rest);
  return out;
}

std::string Reference::name() const {
  return registry + "/" + repository;
}

std::string Reference::str() const {
  std::string out = name();
  if (!tag.empty()) out += ":" + tag;
  if (digest) out += "@" + digest->str();
  return out;
}

std::string Reference::familiar() const {
  const std::string full = str();
  if (registry != kDockerHub) return full;
  const std::string short_name = full.substr(kDockerHub.size() + 1);
  const bool official = repository.starts_with(kOfficial) &&
                        repository.find('/', kOfficial.size()) == std::string::npos;
  return official ? short_name.substr(kOfficial.size()) : short_name;
}

}  // namespace lade
