#include "app/build/call_run.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "base/error.hpp"
#include "builder/report/call_print.hpp"
#include "builder/report/lint_report.hpp"
#include "parser/parse.hpp"

namespace lade {
namespace {

class CallRun {
 public:
  CallRun(const BuildRequest& request, const BuildInput& input,
          const std::function<ImageResolver&()>& resolver)
      : request_(request), input_(input), resolver_(resolver) {}

  int run() {
    switch (request_.call.method) {
      case CallMethod::check:
        return check();
      case CallMethod::outline:
        return outline();
      case CallMethod::targets: {
        const auto file = parser::parse(input_.dockerfile);
        print(request_.call.json ? targets_json(file) : targets_text(file));
        return 0;
      }
      case CallMethod::describe:
        print(request_.call.json ? methods_json() : methods_text());
        return 0;
      case CallMethod::build:
        break;
    }
    throw Error("building is not a call");
  }

 private:
  static void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

  LowerOptions options(parser::Linter& linter) const {
    LowerOptions options = request_.lower;
    options.ignore_patterns = input_.ignore.patterns;
    if (!request_.platforms.empty()) options.target_platform = request_.platforms.front();
    // Whether a step may do what it wants is asked when it is going to run.
    options.allow_host_network = true;
    options.allow_insecure = true;
    options.linter = &linter;
    return options;
  }

  /// What would end a build is part of the result.
  int check() {
    parser::Linter linter(read_lint_config(request_, input_));
    LintResults results{input_.dockerfile, {}, {}};
    try {
      const auto file = parser::parse(input_.dockerfile, &linter);
      LowerOptions lowering = options(linter);
      lowering.all_stages = lowering.target.empty();
      lower(file, lowering, resolver_());
    } catch (const Error& error) {
      results.error = error;
    }
    results.warnings = linter.warnings();
    if (request_.call.json) {
      print(lint_json(results));
    } else {
      print(lint_text(results));
    }
    // After what goes to standard output, where both end at one terminal.
    std::fflush(stdout);
    if (results.error) throw *results.error;
    return results.warnings.empty() || request_.call.ignore_status ? 0 : 1;
  }

  int outline() {
    parser::Linter linter(read_lint_config(request_, input_));
    std::optional<WarningsAtEnd> warnings;
    if (!request_.quiet()) warnings.emplace(linter, request_.debug);
    const auto file = parser::parse(input_.dockerfile, &linter);
    Outline outline;
    LowerOptions lowering = options(linter);
    lowering.outline = &outline;
    lower(file, lowering, resolver_());
    print(request_.call.json ? outline_json(outline, *input_.dockerfile) : outline_text(outline));
    std::fflush(stdout);
    return 0;
  }

  const BuildRequest& request_;
  const BuildInput& input_;
  const std::function<ImageResolver&()>& resolver_;
};

}  // namespace

int run_call(const BuildRequest& request, const BuildInput& input,
             const std::function<ImageResolver&()>& resolver) {
  return CallRun(request, input, resolver).run();
}

}  // namespace lade
