// The filters that clients give for what is listed and removed: containerd's, as far as BuildKit's
// clients use them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <google/protobuf/repeated_ptr_field.h>

namespace moby::buildkit::v1 {
class UsageRecord;
}

namespace lade {

class UsageFilters {
 public:
  /// Each text is conditions that all have to hold, "type==regular,id~=^abc,inuse". Throws Error
  /// for what is not understood.
  explicit UsageFilters(const google::protobuf::RepeatedPtrField<std::string>& texts);
  ~UsageFilters();

  bool empty() const { return filters_.empty(); }
  /// Nothing but types is asked for.
  bool only_of_type() const;
  /// All conditions of any of them. Throws Error for a field that there is not.
  bool match(const moby::buildkit::v1::UsageRecord& record) const;

 private:
  struct Condition;
  static std::vector<Condition> parse(const std::string& text);
  static bool meets(const moby::buildkit::v1::UsageRecord& record, const Condition& condition);

  std::vector<std::vector<Condition>> filters_;
};

}  // namespace lade
