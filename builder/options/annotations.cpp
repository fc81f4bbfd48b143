#include "builder/options/annotations.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "builder/options/usage.hpp"
#include "snapshotter/content/descriptor.hpp"

namespace lade {
namespace {

AnnotationPlace parse_place(const std::string& type) {
  if (type == "manifest") return AnnotationPlace::manifest;
  if (type == "manifest-descriptor") return AnnotationPlace::manifest_descriptor;
  if (type == "index") return AnnotationPlace::index;
  if (type == "index-descriptor") return AnnotationPlace::index_descriptor;
  throw_usage("unknown type " + lade::quoted(type),
              "use one of: manifest, manifest-descriptor, index, index-descriptor");
}

}  // namespace

/// `type` may end in "[PLATFORM]".
void Annotations::add_typed(std::string_view type, std::string key, std::string value) {
  if (key.empty()) throw_usage("the key is empty");
  One one{AnnotationPlace::manifest, {}, std::move(key), std::move(value)};
  const auto bracket = type.find('[');
  one.place = parse_place(std::string(type.substr(0, bracket)));
  if (bracket != std::string_view::npos) {
    if (!type.ends_with(']')) throw_usage("no ] after " + lade::quoted(std::string(type)));
    const auto name = type.substr(bracket + 1, type.size() - bracket - 2);
    one.platform = Platform::parse(name).str();
  }
  all_.push_back(std::move(one));
}

void Annotations::add(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) {
    throw_usage(lade::quoted(std::string(text)) + " is not of the form KEY=VALUE");
  }
  const std::string value(text.substr(equals + 1));
  const std::string_view left = text.substr(0, equals);
  const auto colon = left.find(':');
  if (colon == std::string_view::npos) {
    add_typed("manifest", std::string(left), value);
    return;
  }
  for (const auto& type : split(left.substr(0, colon), ',')) {
    add_typed(type, std::string(left.substr(colon + 1)), value);
  }
}

void Annotations::add_attribute(std::string_view key, const std::string& value) {
  // The key proper starts after the first dot that is not inside of "[...]".
  const auto bracket = key.find('[');
  const auto dot = key.find('.', bracket == std::string_view::npos ? 0 : key.find(']'));
  constexpr std::string_view kPrefix = "annotation-";
  if (dot == std::string_view::npos) throw_usage(lade::quoted(std::string(key)) + " has no key");
  add_typed(key.substr(kPrefix.size(), dot - kPrefix.size()), std::string(key.substr(dot + 1)),
            value);
}

void Annotations::add_all(const Annotations& others) {
  all_.insert(all_.end(), others.all_.begin(), others.all_.end());
}

std::map<std::string, std::string> Annotations::of(AnnotationPlace place,
                                                   const std::string& platform) const {
  std::map<std::string, std::string> out;
  for (const bool specific : {false, true}) {
    for (const auto& one : all_) {
      if (one.place != place || one.platform.empty() == specific) continue;
      if (one.platform.empty() || one.platform == platform) out[one.key] = one.value;
    }
  }
  return out;
}

bool Annotations::any(AnnotationPlace place) const {
  return std::any_of(all_.begin(), all_.end(), [&](const One& one) { return one.place == place; });
}

}  // namespace lade
