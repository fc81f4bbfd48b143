// Any bytes are a Dockerfile or an Error with a place, and triggers of what parses parse or fail
// cleanly.
#include <cstdint>
#include <cstdlib>

#include "base/error.hpp"
#include "parser/heredoc.hpp"
#include "parser/lint.hpp"
#include "parser/mount.hpp"
#include "parser/parse.hpp"

namespace {

using namespace lade;

void use_commands(const parser::Stage& stage) {
  for (const auto& command : stage.commands) {
    const auto& range = command.origin.range;
    if (range.first_line < 1 || range.last_line < range.first_line) std::abort();
    try {
      if (const auto* onbuild = std::get_if<parser::Onbuild>(&command.body)) {
        parser::parse_onbuild_trigger(onbuild->trigger, range);
      } else if (const auto* run = std::get_if<parser::Run>(&command.body)) {
        parser::script_of(run->command);
        for (const auto& mount : run->mounts) {
          parser::resolve_mount(mount, [](std::string_view word) { return std::string(word); });
        }
      }
    } catch (const Error&) {
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto source = std::make_shared<const SourceFile>(
      SourceFile{"Dockerfile", std::string(reinterpret_cast<const char*>(data), size)});
  try {
    parser::Linter linter(parser::lint_config(source, {}));
    const auto file = parser::parse(source, &linter);
    if (file.stages.empty()) std::abort();
    for (const auto& warning : linter.warnings()) {
      if (warning.message.empty() || warning.range.file != source) std::abort();
    }
    for (const auto& stage : file.stages) use_commands(stage);
  } catch (const Error& error) {
    if (!error.range() || error.range()->file != source) std::abort();
    excerpt(*error.range());
  }
  return 0;
}
