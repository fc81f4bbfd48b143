#!/bin/sh
echo "entrypoint got: $*"
cat version.txt
