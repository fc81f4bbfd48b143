#include "solver/cache/explain.hpp"

#include <algorithm>
#include <functional>
#include <map>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "solver/cache/cache_store.hpp"

namespace lade {
namespace {

constexpr int kComparedRecords = 20;
constexpr size_t kShownFiles = 20;
constexpr size_t kShownValue = 200;
constexpr size_t kShownName = 90;
constexpr size_t kShownBeside = 30;  // of what two long values have in common, before and after

std::string shown(const std::string& value) {
  if (value.size() <= kShownValue) return lade::quoted(value);
  return lade::quoted(value.substr(0, kShownValue)) + "...";
}

/// The word of a number that a component has.
std::string option_word(const std::string& number, const std::vector<std::string_view>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (number == std::to_string(i)) return std::string(words[i]);
  }
  return number;
}

/// A component for people; what is packed (a mount, a copy) is only known to differ.
std::string readable(const std::string& name, const std::vector<std::string>& values) {
  if (name == "network") return option_word(join(values, " "), {"default", "none", "host"});
  if (name == "security") return option_word(join(values, " "), {"sandbox", "insecure"});
  if (name != "command") return join(values, " ");
  std::vector<std::string> words;
  for (const auto& value : values) {
    WireReader reader(value);
    for (size_t left = reader.count(); left > 0; --left) words.emplace_back(reader.text());
  }
  return join(words, " ");
}

/// "'a' -> 'b'"; of long values only where they differ.
std::string change(const std::string& before, const std::string& after) {
  if (std::max(before.size(), after.size()) <= kShownName) {
    return shown(before) + " -> " + shown(after);
  }
  const size_t most = std::min(before.size(), after.size());
  size_t head = 0;
  while (head < most && before[head] == after[head]) ++head;
  size_t tail = 0;
  while (tail < most - head && before[before.size() - 1 - tail] == after[after.size() - 1 - tail]) {
    ++tail;
  }
  const auto part = [&](const std::string& text) {
    size_t begin = head > kShownBeside ? head - kShownBeside : 0;
    size_t end = text.size() - (tail > kShownBeside ? tail - kShownBeside : 0);
    const auto is_within_character = [&](size_t at) {
      return at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
    };
    while (is_within_character(begin)) --begin;
    while (is_within_character(end)) ++end;
    return (begin > 0 ? "..." : "") + shown(text.substr(begin, end - begin)) +
           (end < text.size() ? "..." : "");
  };
  return part(before) + " -> " + part(after);
}

bool is_packed(const std::string& name) {
  constexpr std::string_view kPacked[] = {"mount ",   "copy ",   "file ",      "directory ",
                                          "symlink ", "remove ", "exit codes", "script "};
  return std::any_of(std::begin(kPacked), std::end(kPacked),
                     [&](std::string_view start) { return name.starts_with(start); });
}

/// What the step's copies bring to `path` ("/dst/b"), as far as its names tell; empty if nothing
/// does. Of two that may both have brought it the later one counts, as it does on disk.
std::string copied_from(const CacheRecord& record, const std::string& path) {
  std::string out;
  for (const auto& [name, value] : record.components) {
    if (!name.starts_with("copy ")) continue;
    WireReader reader(value);
    reader.number();
    const std::string source(reader.text());
    std::string to(reader.text());
    if (path == to) out = source;
    if (!to.ends_with('/')) to += '/';
    if (!path.starts_with(to)) continue;
    const std::string rest = path.substr(to.size());
    const bool is_file =
        rest == base_name(source) ||
        (source.find_first_of("*?[") != std::string::npos && rest.find('/') == std::string::npos);
    out = join_path(is_file ? dir_name(source) : source, rest);
  }
  return out;
}

/// In what two entries of one path differ for the cache; times do not count.
std::string difference(const Entry& before, const Entry& after) {
  std::vector<std::string> out;
  if (before.type != after.type) return "type";
  if (before.content != after.content || before.size != after.size) out.emplace_back("content");
  if (before.mode != after.mode) {
    out.push_back(fmt::format("mode {:o} -> {:o}", before.mode, after.mode));
  }
  if (before.uid != after.uid || before.gid != after.gid) {
    out.push_back(
        fmt::format("owner {}:{} -> {}:{}", before.uid, before.gid, after.uid, after.gid));
  }
  if (before.link_target != after.link_target) out.emplace_back("link target");
  if (before.xattrs != after.xattrs) out.emplace_back("xattrs");
  return join(out, ", ");
}

/// What differs between what two layers bring, a line per path: "changed: /a (content)", "added:
/// /b", "removed: /c"; at most `limit` lines, then how many more there are. Layers that are gone
/// give nothing. `title` is what a path is called.
std::vector<std::string> layer_differences(
    LayerStore& layers, LayerId before, LayerId after, size_t limit,
    const std::function<std::string(const std::string& path)>& title) {
  std::shared_ptr<const LayerIndex> old_index;
  std::shared_ptr<const LayerIndex> new_index;
  try {
    old_index = layers.hashed_index(before);
    new_index = layers.hashed_index(after);
  } catch (const Error&) {
    return {};  // of layers that are gone, or known by name only
  }
  std::vector<std::string> out;
  const auto& a = old_index->entries();
  const auto& b = new_index->entries();
  for (size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    const auto order = i == a.size()   ? std::strong_ordering::greater
                       : j == b.size() ? std::strong_ordering::less
                                       : compare_paths(a[i].path, b[j].path);
    if (order < 0) {
      out.push_back("removed: " + title("/" + a[i++].path));
    } else if (order > 0) {
      out.push_back("added: " + title("/" + b[j++].path));
    } else {
      const std::string what = difference(a[i], b[j]);
      if (!what.empty()) {
        out.push_back(fmt::format("changed: {} ({})", title("/" + a[i].path), what));
      }
      ++i;
      ++j;
    }
  }
  if (out.size() > limit) {
    const size_t more = out.size() - limit;
    out.resize(limit);
    out.push_back(fmt::format("and {} more", more));
  }
  return out;
}

/// The instruction's word: "[build 2/5] RUN make" -> "RUN".
std::string keyword(const std::string& name) {
  const auto begin = name.find("] ");
  const std::string text = begin == std::string::npos ? name : name.substr(begin + 2);
  return text.substr(0, text.find(' '));
}

/// "[build 2/5] ..." -> "build"; "[2/5] ..." -> "".
std::string stage(const std::string& name) {
  const auto end = name.find(']');
  const auto space = name.rfind(' ', end);
  if (end == std::string::npos || space == std::string::npos) return {};
  return name.substr(1, space - 1);
}

class Explainer {
 public:
  Explainer(StateDir& state, const KeptLogs& logs)
      : state_(state), cache_(state.database()), logs_(logs) {}

  std::vector<std::string> reasons(const StepLog& step) {
    switch (step.outcome) {
      case StepOutcome::unneeded:
        return {"nothing needed it: what is built on it was cached"};
      case StepOutcome::unreached:
        return {"the build ended before it was done"};
      case StepOutcome::source:
      case StepOutcome::cached:
        return {};
      case StepOutcome::imported: {
        const auto record = cache_.find(step.record);
        return {"the result came from the cache " +
                (record ? record->origin : "of another machine")};
      }
      case StepOutcome::same_content:
        return {"an input was made anew but came out the same: the earlier result was taken"};
      case StepOutcome::ran:
      case StepOutcome::failed:
        break;
    }
    return why_it_ran(step);
  }

 private:
  std::vector<std::string> why_it_ran(const StepLog& step) {
    if (step.forced) {
      return {
          "it was to run whatever is cached (--no-cache, --no-cache-filter), or is built on "
          "such a step"};
    }
    if (auto changed = changed_inputs(step); !changed.empty()) return changed;
    if (const StepLog* before = same_op_before(step)) {
      return {fmt::format("its earlier result is gone (pruned, or lost): {}", step_title(*before))};
    }
    if (const StepLog* before = counterpart(step)) return changed_op(step, *before);
    return {"no step like it has run before"};
  }

  /// The same op in the build before, or else the latest other record of it; its inputs are what
  /// changed.
  std::vector<std::string> changed_inputs(const StepLog& step) {
    const auto mine = cache_.find(step.record);
    const auto explained = [&](const CacheRecord& record) {
      return mine ? compare(step, record, *mine) : compare_failed(step);
    };
    if (const auto before = result_before(step)) return explained(*before);
    std::vector<CacheRecord> records = cache_.with_op(step.op, kComparedRecords);
    // Times have seconds; layers are numbered as they are made.
    const auto age = [](const CacheRecord& record) {
      return std::pair(record.created_at, record.layers.empty() ? 0 : record.layers.back());
    };
    std::erase_if(records, [&](const CacheRecord& record) {
      return record.key == step.record || (mine && age(record) > age(*mine));
    });
    const auto latest = std::max_element(
        records.begin(), records.end(),
        [&](const CacheRecord& a, const CacheRecord& b) { return age(a) < age(b); });
    return latest == records.end() ? std::vector<std::string>() : explained(*latest);
  }

  /// Of the same op in the build before, if it had other inputs there; rather that of the same
  /// name.
  std::optional<CacheRecord> result_before(const StepLog& step) {
    if (!logs_.before) return std::nullopt;
    std::optional<CacheRecord> out;
    for (const StepLog& other : logs_.before->steps) {
      if (other.op != step.op || other.record.empty() || other.record == step.record) continue;
      if (out && other.name != step.name) continue;
      if (auto record = cache_.find(other.record)) out = std::move(record);
    }
    return out;
  }

  /// Of a step that has no result there are no inputs to look at; its log still says what ran.
  std::vector<std::string> compare_failed(const StepLog& step) {
    std::vector<std::string> out;
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      const StepLog& input = logs_.last.steps[step.inputs[i]];
      if (input.outcome == StepOutcome::ran) out.push_back(made_anew(input));
    }
    if (out.empty()) out.emplace_back("the same command ran before on other inputs");
    return out;
  }

  static std::string made_anew(const StepLog& input) {
    return fmt::format("what it is built on came out differently: {}", step_title(input));
  }

  std::vector<std::string> compare(const StepLog& step, const CacheRecord& before,
                                   const CacheRecord& after) {
    std::vector<std::string> out;
    const size_t inputs = std::min({step.inputs.size(), before.inputs.size(), after.inputs.size()});
    bool selection_changed = false;
    for (size_t i = 0; i < inputs; ++i) {
      const StepLog& input = logs_.last.steps[step.inputs[i]];
      const bool same = i == 0 ? same_content(before.inputs[i].layers, after.inputs[i].layers)
                               : before.inputs[i].selection == after.inputs[i].selection &&
                                     (!after.inputs[i].selection.empty() ||
                                      before.inputs[i].layers == after.inputs[i].layers);
      if (same) continue;
      if (i == 0) {
        out.push_back(input.outcome == StepOutcome::source
                          ? fmt::format("its base image changed: {}", step_title(input))
                          : made_anew(input));
      } else {
        selection_changed = true;
        out.push_back(fmt::format("what it reads of {} changed", from_whom(input)));
      }
    }
    if (selection_changed && !before.layers.empty() && !after.layers.empty()) {
      const auto title = [&](const std::string& path) {
        const std::string source = copied_from(after, path);
        return source.empty() || source == path ? path : source + ", copied to " + path;
      };
      for (auto& line : layer_differences(state_.layers(), before.layers.back(),
                                          after.layers.back(), kShownFiles, title)) {
        out.push_back("  " + line);
      }
    }
    if (out.empty()) out.emplace_back("an earlier result could not be used: its bytes are gone");
    return out;
  }

  static std::string from_whom(const StepLog& input) {
    if (input.source.starts_with("local://context")) return "the build context";
    if (input.source.starts_with("local://")) {
      return "the context " + lade::quoted(input.source.substr(8));
    }
    return input.name.empty() ? "another stage" : step_title(input);
  }

  bool same_content(const LayerStack& a, const LayerStack& b) {
    if (a == b) return true;
    if (a.size() != b.size() || !state_.layers().exists(a) || !state_.layers().exists(b)) {
      return false;
    }
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] != b[i] &&
          state_.layers().content_digest(a[i]) != state_.layers().content_digest(b[i])) {
        return false;
      }
    }
    return true;
  }

  const StepLog* same_op_before(const StepLog& step) const {
    if (!logs_.before || step.record.empty()) return nullptr;
    for (const StepLog& other : logs_.before->steps) {
      if (other.op == step.op && other.record == step.record) return &other;
    }
    return nullptr;
  }

  /// The step that stood where this one stands: of the same stage and instruction, in order,
  /// leaving aside those whose op is in both builds.
  const StepLog* counterpart(const StepLog& step) const {
    if (!logs_.before) return nullptr;
    const auto changed = [&](const BuildLog& log, const BuildLog& other) {
      std::vector<const StepLog*> out;
      for (const StepLog& each : log.steps) {
        const bool alike = !each.op.empty() && keyword(each.name) == keyword(step.name) &&
                           stage(each.name) == stage(step.name);
        const bool in_both =
            std::any_of(other.steps.begin(), other.steps.end(),
                        [&](const StepLog& theirs) { return theirs.op == each.op; });
        if (alike && !in_both) out.push_back(&each);
      }
      return out;
    };
    const auto mine = changed(logs_.last, *logs_.before);
    const auto theirs = changed(*logs_.before, logs_.last);
    const auto at = std::find(mine.begin(), mine.end(), &step) - mine.begin();
    return static_cast<size_t>(at) < theirs.size() ? theirs[static_cast<size_t>(at)] : nullptr;
  }

  std::vector<std::string> changed_op(const StepLog& step, const StepLog& before) {
    const auto old_record = cache_.find(before.record);
    const auto new_record = cache_.find(step.record);
    if (!old_record || !new_record) {
      return {fmt::format("the instruction changed; it was: {}", step_title(before))};
    }
    // Several components of one name (the arguments) stand together.
    const auto by_name = [](const CacheRecord& record) {
      std::map<std::string, std::vector<std::string>> out;
      for (const auto& [name, value] : record.components) out[name].push_back(value);
      return out;
    };
    const auto old_parts = by_name(*old_record);
    const auto new_parts = by_name(*new_record);
    std::vector<std::string> out;
    for (const auto& [name, values] : old_parts) {
      const auto now = new_parts.find(name);
      if (now == new_parts.end()) {
        out.push_back(is_packed(name) ? name + " is gone"
                                      : fmt::format("{} is gone: it was {}", name,
                                                    shown(readable(name, values))));
      } else if (now->second != values) {
        out.push_back(is_packed(name) ? name + " has other options"
                                      : fmt::format("{} changed: {}", name,
                                                    change(readable(name, values),
                                                           readable(name, now->second))));
      }
    }
    for (const auto& [name, values] : new_parts) {
      if (!old_parts.contains(name)) {
        out.push_back(is_packed(name)
                          ? name + " is new"
                          : fmt::format("{} is new: {}", name, shown(readable(name, values))));
      }
    }
    // The same in every part, under another key.
    if (out.empty()) {
      out.emplace_back("its earlier result is of a version of lade whose results are not trusted");
    }
    return out;
  }

  StateDir& state_;
  CacheStore cache_;
  const KeptLogs& logs_;
};

}  // namespace

std::string step_title(const StepLog& step) {
  std::string name = step.name;
  if (name.size() > kShownName) {
    size_t end = kShownName - 3;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;
    name = name.substr(0, end) + "...";
  }
  if (step.line == 0) return name;
  if (step.last_line <= step.line) return fmt::format("{} (line {})", name, step.line);
  return fmt::format("{} (lines {}-{})", name, step.line, step.last_line);
}

std::vector<StepExplanation> explain(StateDir& state, const KeptLogs& logs) {
  Explainer explainer(state, logs);
  std::vector<StepExplanation> out;
  for (const StepLog& step : logs.last.steps) {
    if (step.name.empty() || !step.source.empty()) continue;
    out.push_back({&step, explainer.reasons(step)});
  }
  return out;
}

}  // namespace lade
