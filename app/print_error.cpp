#include <cstdio>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "base/error.hpp"

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
  out += "ERROR: " + error.message() + "\n";
  if (!error.hint().empty()) out += "  hint: " + error.hint() + "\n";
  std::fwrite(out.data(), 1, out.size(), stderr);
}

}  // namespace lade
