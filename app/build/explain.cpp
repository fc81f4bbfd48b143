// `lade explain`: why the steps of the last build hit the cache or missed it.
#include "solver/cache/explain.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/build/commands.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

struct ExplainFlags {
  std::string step;
  std::string format = "text";
};

const char* outcome_word(StepOutcome outcome) {
  switch (outcome) {
    case StepOutcome::unneeded:
      return "NOT NEEDED";
    case StepOutcome::source:
      return "SOURCE";
    case StepOutcome::cached:
    case StepOutcome::imported:
    case StepOutcome::same_content:
      return "CACHED";
    case StepOutcome::ran:
      return "RAN";
    case StepOutcome::failed:
      return "FAILED";
    case StepOutcome::unreached:
      return "NOT REACHED";
  }
  return "";
}

/// STEP is a line of the Dockerfile, any of the step's, or part of its name.
bool is_asked_for(const StepLog& step, const std::string& asked) {
  if (asked.empty()) return true;
  if (asked.find_first_not_of("0123456789") == std::string::npos) {
    int line = 0;
    std::from_chars(asked.data(), asked.data() + asked.size(), line);
    return line > 0 && line >= step.line && line <= std::max(step.line, step.last_line);
  }
  return to_lower(step.name).find(to_lower(asked)) != std::string::npos;
}

void print_text(const std::vector<StepExplanation>& steps) {
  for (const auto& [step, reasons] : steps) {
    fmt::print("{:<11} {}\n", outcome_word(step->outcome), step_title(*step));
    for (const auto& reason : reasons) fmt::print("            {}\n", reason);
  }
}

void print_json(const BuildLog& log, const std::vector<StepExplanation>& steps) {
  nlohmann::ordered_json out;
  out["dockerfile"] = log.dockerfile;
  out["steps"] = nlohmann::ordered_json::array();
  for (const auto& [step, reasons] : steps) {
    out["steps"].push_back({{"name", step->name},
                            {"line", step->line},
                            {"lastLine", step->last_line},
                            {"outcome", to_lower(outcome_word(step->outcome))},
                            {"reasons", reasons}});
  }
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

int run_explain(const Globals& globals, const ExplainFlags& flags) {
  if (flags.format != "text" && flags.format != "json") {
    throw Error(fmt::format("--format {} is not one of: text, json", flags.format),
                ErrorKind::usage);
  }
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  const auto logs = last_build_logs(state->root());
  if (!logs) throw Error("nothing has been built here yet", ErrorKind::not_found);
  auto steps = explain(*state, *logs);
  std::erase_if(steps,
                [&](const StepExplanation& one) { return !is_asked_for(*one.step, flags.step); });
  if (steps.empty() && !flags.step.empty()) {
    throw Error(fmt::format("the last build, of {}, has no step {}",
                            lade::quoted(logs->last.dockerfile), lade::quoted(flags.step)),
                ErrorKind::not_found);
  }
  if (flags.format == "json") {
    print_json(logs->last, steps);
  } else {
    fmt::print("{}\n", logs->last.dockerfile);
    print_text(steps);
  }
  return 0;
}

}  // namespace

void add_explain_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<ExplainFlags>();
  command.add_option("STEP", flags->step, "A line of the Dockerfile, or part of a step's name");
  command.add_option("--format", flags->format, "How to print it: text (default) or json");
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return run_explain(globals, *flags); };
  });
}

}  // namespace lade
