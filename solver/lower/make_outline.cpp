#include "solver/lower/make_outline.hpp"

#include <algorithm>

#include "solver/lower/stage.hpp"

namespace lade::lowering {
namespace {

/// Visits stages below a target: the stage itself, what it is FROM, what it copies from. What was
/// found first counts.
class OutlineMaker {
 public:
  Outline run(const StageState& target) {
    add(target);
    if (target.stage) {
      outline_.name = target.stage->from.name;
      outline_.description = target.stage->from.description;
    }
    sort(outline_.args);
    sort(outline_.secrets);
    sort(outline_.ssh);
    sort(outline_.caches);
    return std::move(outline_);
  }

 private:
  void add(const StageState& first) {
    // A stack of our own: a chain of stages can be thousands long.
    std::vector<const StageState*> todo{&first};
    while (!todo.empty()) {
      const StageState& stage = *todo.back();
      todo.pop_back();
      if (!stages_.insert(&stage).second) continue;
      for (const auto& name : used_args(stage.outline)) {
        const auto known = stage.outline.known_args.find(name);
        if (known == stage.outline.known_args.end() || !args_.insert(name).second) continue;
        outline_.args.push_back(known->second.arg);
      }
      add_new(stage.outline.secrets, secrets_, outline_.secrets);
      add_new(stage.outline.ssh, ssh_, outline_.ssh);
      add_new(stage.outline.caches, caches_, outline_.caches);
      for (size_t i = stage.deps.size(); i-- > 0;) todo.push_back(stage.deps[i].first);
      if (stage.base) todo.push_back(stage.base);
    }
  }

  /// With those that the defaults of others need.
  static std::set<std::string> used_args(const OutlineCapture& capture) {
    std::set<std::string> used;
    std::vector<std::string> todo(capture.used_args.begin(), capture.used_args.end());
    while (!todo.empty()) {
      const std::string name = std::move(todo.back());
      todo.pop_back();
      if (!used.insert(name).second) continue;
      const auto known = capture.known_args.find(name);
      if (known == capture.known_args.end()) continue;
      todo.insert(todo.end(), known->second.deps.begin(), known->second.deps.end());
    }
    return used;
  }

  template <class Item>
  static void add_new(const std::map<std::string, Item>& found, std::set<std::string>& names,
                      std::vector<Item>& out) {
    for (const auto& [name, item] : found) {
      if (names.insert(name).second) out.push_back(item);
    }
  }

  template <class Item>
  static void sort(std::vector<Item>& items) {
    std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
      return a.range.first_line < b.range.first_line;
    });
  }

  Outline outline_;
  std::set<const StageState*> stages_;
  std::set<std::string> args_;
  std::set<std::string> secrets_;
  std::set<std::string> ssh_;
  std::set<std::string> caches_;
};

}  // namespace

Outline make_outline(const StageState& target) {
  return OutlineMaker().run(target);
}

}  // namespace lade::lowering
