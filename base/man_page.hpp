// Manual pages (man(7)), made of what --help is made of.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/command_line.hpp"

namespace lade {

struct ManPage {
  std::string name;     ///< "lade-build"
  int section = 1;      ///< of the manual
  std::string version;  ///< "lade 0.1.0"
  /// Commands, with what they do; in the order of the page.
  std::vector<std::pair<std::string, std::string>> commands{};
  /// Titles and paragraphs below the options.
  std::vector<std::pair<std::string, std::vector<std::string>>> sections{};
  std::vector<std::string> see_also{};  ///< "lade(1)"
};

/// The page of `line`.
std::string man_page(const CommandLine& line, const ManPage& page);

}  // namespace lade
