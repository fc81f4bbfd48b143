#!/bin/sh
# The check must refuse a forbidden include and a path that is not root-relative.
set -eu
checker="$1"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/parser" "$dir/base"
echo '#include "base/error.hpp"' > "$dir/parser/good.cpp"
python3 "$checker" "$dir" > /dev/null
echo '#include "solver/solve.hpp"' > "$dir/parser/bad.cpp"
if python3 "$checker" "$dir" > "$dir/out"; then echo "a forbidden include passed"; exit 1; fi
grep -q 'parser may not include solver' "$dir/out"
echo '#include "error.hpp"' > "$dir/parser/bad.cpp"
if python3 "$checker" "$dir" > "$dir/out"; then echo "a relative include passed"; exit 1; fi
