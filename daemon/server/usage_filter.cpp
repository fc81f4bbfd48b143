#include "daemon/server/usage_filter.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "daemon/proto/control.pb.h"

namespace lade {
namespace {

namespace filter_api = moby::buildkit::v1;

constexpr size_t kMaxFilter = 512;
constexpr int kMaxFilters = 64;

/// Clients' expressions: RE2 needs neither the stack nor the time that backtracking would.
std::shared_ptr<const RE2> compile_filter(const std::string& text) {
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(1 << 20);
  auto pattern = std::make_shared<const RE2>(text, options);
  if (!pattern->ok()) {
    throw Error(
        fmt::format("cannot parse the expression {}: {}", lade::quoted(text), pattern->error()));
  }
  return pattern;
}

std::string field_of(const filter_api::UsageRecord& record, const std::string& name) {
  const auto flag = [](bool value) -> std::string { return value ? "true" : "false"; };
  if (name == "id") return record.id();
  if (name == "type") return record.recordtype();
  if (name == "description") return record.description();
  if (name == "inuse") return flag(record.inuse());
  if (name == "mutable") return flag(record.mutable_());
  if (name == "immutable") return flag(!record.mutable_());
  if (name == "shared") return flag(record.shared());
  if (name == "private") return flag(!record.shared());
  if (name == "parent" || name == "parents") return {};
  throw Error("there is no field " + lade::quoted(name) + " to filter by");
}

}  // namespace

/// One condition of containerd's filters: "type==regular", "id~=^abc", "inuse".
struct UsageFilters::Condition {
  std::string field;
  std::string op;  ///< empty: the field is true
  std::string value;
  std::shared_ptr<const RE2> pattern;  ///< of "~="
};

std::vector<UsageFilters::Condition> UsageFilters::parse(const std::string& text) {
  if (text.size() > kMaxFilter) throw Error("a filter is too long");
  std::vector<Condition> out;
  for (const auto& part : split(text, ',')) {
    static const RE2 form(R"((?s)([A-Za-z]+)(?:(==|!=|~=)(.*))?)");
    std::string field;
    std::string op;
    std::string value;
    if (!RE2::FullMatch(part, form, &field, &op, &value)) {
      throw Error("cannot parse the filter " + lade::quoted(part));
    }
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    out.push_back({to_lower(field), op, value, op == "~=" ? compile_filter(value) : nullptr});
  }
  return out;
}

bool UsageFilters::meets(const filter_api::UsageRecord& record, const Condition& condition) {
  const std::string field = field_of(record, condition.field);
  if (condition.op.empty()) return !field.empty() && field != "false";
  if (condition.op == "==") return field == condition.value;
  if (condition.op == "!=") return field != condition.value;
  return RE2::PartialMatch(field, *condition.pattern);
}

UsageFilters::UsageFilters(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  if (texts.size() > kMaxFilters) throw Error("too many filters");
  for (const auto& text : texts) {
    if (!text.empty()) filters_.push_back(parse(text));
  }
}

UsageFilters::~UsageFilters() = default;

bool UsageFilters::only_of_type() const {
  for (const auto& filter : filters_) {
    for (const auto& condition : filter) {
      if (condition.field != "type" || condition.op.empty()) return false;
    }
  }
  return true;
}

bool UsageFilters::match(const filter_api::UsageRecord& record) const {
  for (const auto& filter : filters_) {
    bool all = true;
    for (const auto& condition : filter) all = all && meets(record, condition);
    if (all) return true;
  }
  return filters_.empty();
}

}  // namespace lade
