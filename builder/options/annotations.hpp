// Annotations of what is exported: --annotation and the annotation keys of --output.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lade {

/// What carries the annotation (OCI image-spec: annotations.md).
enum class AnnotationPlace { manifest, manifest_descriptor, index, index_descriptor };

class Annotations {
 public:
  /// "KEY=VALUE" (of manifests), or "TYPE[PLATFORM],TYPE...:KEY=VALUE" with the types manifest,
  /// manifest-descriptor, index, index-descriptor, as `docker buildx build --annotation` has them.
  /// Throws Error(usage).
  void add(std::string_view text);
  /// --output's spelling of a key: "annotation-TYPE[PLATFORM].KEY". Throws Error(usage).
  void add_attribute(std::string_view key, const std::string& value);
  void add_all(const Annotations& others);

  /// Those for one manifest or index; the ones for its platform beat those for all.
  std::map<std::string, std::string> of(AnnotationPlace place, const std::string& platform) const;
  bool any(AnnotationPlace place) const;

 private:
  struct One {
    AnnotationPlace place;
    std::string platform;  // empty: all
    std::string key;
    std::string value;
  };
  void add_typed(std::string_view type, std::string key, std::string value);

  std::vector<One> all_;
};

}  // namespace lade
