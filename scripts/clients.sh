#!/usr/bin/env bash
# Makes the environments of tests/clients: each client as its users install it, away from our own packages.
# An environment is kept as long as its lock file is the same, whatever the files' times say.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PYTHON=.venv/bin/python CACHE=.cache/clients LOCKS=tests/clients

digest() {
    cat "$@" | sha256sum | cut -d ' ' -f 1
}

is_fresh() { # folder digest
    [[ -f $1/.stamp && $(<"$1/.stamp") == "$2" ]]
}

make_python() { # name
    local lock=$LOCKS/python/$1.txt folder=$CACHE/$1 wanted
    wanted=$(digest "$lock" <("$PYTHON" --version))
    is_fresh "$folder" "$wanted" && return
    echo "  the environment of \`$1\` from PyPI"
    rm -rf "$folder"
    # A lock is complete, so nothing is resolved; the client's modules are compiled when one is first imported.
    "$PYTHON" -m venv --without-pip "$folder"
    "$PYTHON" -m pip --disable-pip-version-check --quiet --python "$folder/bin/python" install \
        --require-hashes --only-binary :all: --no-deps --no-compile -r "$lock"
    echo "$wanted" >"$folder/.stamp"
}

make_node() {
    local folder=$CACHE/node wanted
    local files=("$LOCKS/node/package.json" "$LOCKS/node/package-lock.json" "$LOCKS/node/.npmrc")
    command -v npm >/dev/null || { echo "Some clients come from npm: install Node 20 or later for \`make test\`."; return 1; }
    wanted=$(digest "${files[@]}" <(node --version))
    is_fresh "$folder" "$wanted" && return
    echo "  the environment of the clients from npm"
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "${files[@]}" "$folder"
    (cd "$folder" && npm ci --ignore-scripts --silent)
    echo "$wanted" >"$folder/.stamp"
}

mkdir -p "$CACHE"
exec 9>"$CACHE/.lock"
flock 9 # two test runs at once make them once
jobs=()
for lock in "$LOCKS"/python/*.txt; do
    make_python "$(basename "$lock" .txt)" & jobs+=($!)
done
make_node & jobs+=($!)
status=0
for job in "${jobs[@]}"; do wait "$job" || status=$?; done
exit "$status"
