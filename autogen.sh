#!/bin/sh
# Makes ./configure. Needs autoconf, automake and libtool.
set -e
cd "$(dirname "$0")"
for tool in autoconf automake libtoolize; do
    command -v $tool > /dev/null || {
        echo "autogen.sh: $tool is missing: run contrib/install-deps.sh" >&2
        exit 1
    }
done
mkdir -p config/aux
autoreconf --install --force
