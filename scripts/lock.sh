#!/usr/bin/env bash
# Regenerates the lock files. They name versions and hashes, never the registry they came from.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
    echo "  locking requirements/$1.txt"
    (cd requirements && ../.venv/bin/uv pip compile --quiet ${UPGRADE:+--upgrade} --universal --python-version 3.11 --generate-hashes \
        --custom-compile-command "make lock" --output-file "$1.txt" "${@:2}" "$1.in")
}

compile build
compile run --constraint build.txt
compile dev --constraint run.txt
echo "  locking package-lock.json"
npm install --package-lock-only --ignore-scripts --silent

# The clients of tests/clients: each .in pins the one version that is tested.
for client in tests/clients/python/*.in; do
    echo "  locking ${client%.in}.txt"
    (cd tests/clients/python && ../../../.venv/bin/uv pip compile --quiet ${UPGRADE:+--upgrade} --universal --python-version 3.11 \
        --generate-hashes --custom-compile-command "make lock" --output-file "$(basename "${client%.in}").txt" "$(basename "$client")")
done
echo "  locking tests/clients/node/package-lock.json"
(cd tests/clients/node && npm install --package-lock-only --ignore-scripts --silent)

# The programs that `make bench` compares.
for program in bench/requirements/*.in; do
    echo "  locking ${program%.in}.txt"
    (cd bench/requirements && ../../.venv/bin/uv pip compile --quiet ${UPGRADE:+--upgrade} --universal --python-version 3.11 \
        --generate-hashes --custom-compile-command "make lock" --output-file "$(basename "${program%.in}").txt" "$(basename "$program")")
done
echo "  locking bench/node/package-lock.json"
(cd bench/node && npm install --package-lock-only --ignore-scripts --silent)
