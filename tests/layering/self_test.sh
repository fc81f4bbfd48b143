#!/bin/sh
# The check must refuse what it is for: each line below is one thing that is wrong with an otherwise good tree.
set -eu
checker="$1"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

good() {
  rm -rf "$dir"/*
  mkdir -p "$dir/parser" "$dir/base" "$dir/solver/lower"
  echo '#include "base/error.hpp"' > "$dir/parser/good.cpp"
  echo '#include "solver/lower/data.hpp"' > "$dir/solver/lower/one.hpp"
  echo '#include "solver/lower/one.hpp"' > "$dir/solver/lower/one.cpp"
  echo '#include "solver/lower/data.hpp"' > "$dir/solver/lower/two.hpp"
}

refused() { # what is said
  if python3 "$checker" "$dir" > "$dir/out"; then echo "passed, but should say: $1"; exit 1; fi
  grep -q "$1" "$dir/out" || { echo "should say: $1"; cat "$dir/out"; exit 1; }
}

good
python3 "$checker" "$dir" > /dev/null

echo '#include "solver/lower/lower.hpp"' > "$dir/parser/bad.cpp"
refused 'parser may not include solver/lower'

good
echo '#include "error.hpp"' > "$dir/parser/bad.cpp"
refused 'not relative to the project'

good
mkdir "$dir/solver/attic"
touch "$dir/solver/attic/old.hpp"
refused 'knows no folder solver/attic'

# A cycle of units through a .cpp file, which compiles.
good
echo '#include "solver/lower/one.hpp"' > "$dir/solver/lower/two.hpp"
echo '#include "solver/lower/two.hpp"' >> "$dir/solver/lower/one.cpp"
refused 'solver/lower: these include each other: one, two'
