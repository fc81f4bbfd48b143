// The second opinion as a program: validate_image IMAGE... prints what is wrong with OCI layouts,
// OCI tars and Docker tars, and fails if anything is.
#include <cstdio>

#include <fmt/format.h>

#include "tests/support/validate_image.hpp"

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: validate_image IMAGE...\n");
    return 2;
  }
  int problems = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& problem : lade::validate_image(argv[i])) {
      fmt::print("{}: {}\n", argv[i], problem);
      ++problems;
    }
  }
  return problems == 0 ? 0 : 1;
}
