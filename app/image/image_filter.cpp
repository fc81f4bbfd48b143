#include "app/image/image_filter.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/pattern.hpp"
#include "base/text.hpp"
#include "builder/options/build_values.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

std::optional<Timestamp> created_at(const StoredImage& image) {
  const auto* shown = image.for_platform(Platform::host());
  return shown ? shown->config.created : std::nullopt;
}

Timestamp creation_of(StateDir& state, const std::string& name) {
  return created_at(find_stored_image(state.images(), state.content(), name)).value_or(Timestamp{});
}

/// As docker matches them: a pattern for the name, or for the name with its tag.
bool matches(const std::string& pattern, const Reference& reference) {
  const Glob glob(pattern, Glob::Dialect::path);
  const std::string with_tag = reference.familiar();
  Reference bare = reference;
  bare.tag = "latest";
  std::string name = bare.familiar();
  name.resize(name.size() - std::string(":latest").size());
  return glob.matches(with_tag) || glob.matches(name) || glob.matches(reference.str()) ||
         glob.matches(reference.name());
}

}  // namespace

ImageFilter::ImageFilter(const std::vector<std::string>& texts, StateDir& state) {
  for (const auto& text : texts) {
    for (const auto& one : split(text, ',')) {
      const auto equals = one.find('=');
      if (equals == std::string::npos) {
        throw Error("--filter: " + lade::quoted(one) + " is not of the form KEY=VALUE",
                    ErrorKind::usage);
      }
      add(to_lower(trim(one.substr(0, equals))), std::string(trim(one.substr(equals + 1))), state);
    }
  }
}

void ImageFilter::add(const std::string& key, const std::string& value, StateDir& state) {
  if (key == "reference") {
    references_.push_back(value);
  } else if (key == "dangling") {
    if (value != "true" && value != "false" && value != "1" && value != "0") {
      throw Error("--filter: dangling is true or false", ErrorKind::usage);
    }
    dangling_ = value == "true" || value == "1";
  } else if (key == "label") {
    const auto equals = value.find('=');
    labels_.emplace_back(value.substr(0, equals), equals == std::string::npos
                                                      ? std::nullopt
                                                      : std::optional(value.substr(equals + 1)));
  } else if (key == "before") {
    before_ = creation_of(state, value);
  } else if (key == "since") {
    since_ = creation_of(state, value);
  } else if (key == "until") {
    before_ = Timestamp{parse_until(value), 0};
  } else {
    Error error("--filter: there is no " + lade::quoted(key), ErrorKind::usage);
    error.set_hint("there are: reference, dangling, label, before, since, until");
    throw error;
  }
}

bool ImageFilter::accepts(const StoredImage& image) const {
  const bool unnamed = std::all_of(image.names.begin(), image.names.end(),
                                   [](const ImageName& name) { return is_unnamed(name.name); });
  if (dangling_ && *dangling_ != unnamed) return false;
  const auto created = created_at(image);
  if (before_ && (!created || !(*created < *before_))) return false;
  if (since_ && (!created || !(*created > *since_))) return false;
  if (labels_.empty()) return true;
  const auto* shown = image.for_platform(Platform::host());
  if (!shown) return false;
  const auto& have = shown->config.config.labels;
  return std::all_of(labels_.begin(), labels_.end(), [&](const auto& label) {
    const auto found = have.find(label.first);
    return found != have.end() && (!label.second || *label.second == found->second);
  });
}

bool ImageFilter::accepts_name(const std::string& name) const {
  if (references_.empty()) return true;
  if (is_unnamed(name)) return false;
  const Reference reference = Reference::parse(name);
  return std::any_of(references_.begin(), references_.end(),
                     [&](const std::string& pattern) { return matches(pattern, reference); });
}

}  // namespace lade
