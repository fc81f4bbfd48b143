#include "app/ui/print_error.hpp"

#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/shown_text.hpp"

namespace lade {

void print_error(const Error& error) {
  std::string out;
  if (error.range()) {
    const std::string lines = excerpt(*error.range());
    out += to_string(*error.range()) + "\n";
    if (!lines.empty()) {
      const std::string rule(20, '-');
      out += rule + "\n" + lines + rule + "\n";
    }
  }
  out += "ERROR: " + elided(error.message()) + "\n";
  if (!error.hint().empty()) out += "  hint: " + elided(error.hint()) + "\n";
  out = shown_on(STDERR_FILENO, std::move(out));
  std::fwrite(out.data(), 1, out.size(), stderr);
}

}  // namespace lade
