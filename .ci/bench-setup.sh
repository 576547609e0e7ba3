#!/bin/bash
# bench-setup.sh WORK SHARED [LINES]
#
# Prepares the folder in which the benchmark of SHARED/bench (its README.md) is run.
#
#   WORK    the work folder, made if missing
#   SHARED  the folder that holds bench/ (essink, null, gen.py, compare.py, peers)
#   LINES   lines of each corpus (default 1000000)
#
# Leaves   WORK/bin/essink, WORK/bin/null, WORK/geo/city.mmdb, WORK/data/{nginx,json,mcp}.log and,
#          where apt can be used, the packages rsyslog and rsyslog-elasticsearch (a peer).
#          WORK/bin/logweir is the caller's: cp target/release/logweir WORK/bin/
# Skips what is there already. CARGO names another cargo (default: cargo).
# Needs    go, cargo, python3 with pip; apt as root or by sudo for the peer, which is left out otherwise.
set -euo pipefail

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
    echo "usage: $0 WORK SHARED [LINES]" >&2
    exit 2
fi
mkdir -p "$1"/{bin,geo,data,tmp}
work=$(cd "$1" && pwd)
bench=$(cd "$2/bench" && pwd)
lines=${3:-1000000}
cargo=${CARGO:-cargo}

say() { printf 'bench-setup: %s\n' "$*"; }
die() {
    printf 'bench-setup: %s\n' "$*" >&2
    exit 1
}
quiet() { # runs a command, shows what it printed only when it fails
    local out
    out=$(mktemp "$work/tmp/step.XXXXXX")
    if ! "$@" >"$out" 2>&1; then
        cat "$out" >&2
        rm -f "$out"
        die "failed: $*"
    fi
    rm -f "$out"
}

# --- essink, the stand-in for Elasticsearch
if [ -x "$work/bin/essink" ] && [ ! "$bench/essink/main.go" -nt "$work/bin/essink" ]; then
    say "essink: there"
else
    command -v go >/dev/null || die "essink needs go (its go.mod names the version)"
    quiet go build -C "$bench/essink" -o "$work/bin/essink" .
    say "essink: built"
fi

# --- the null shipper; built from a copy, since cargo writes a Cargo.lock beside the manifest
if [ -x "$work/bin/null" ] && [ ! "$bench/null/src/main.rs" -nt "$work/bin/null" ]; then
    say "null: there"
else
    command -v "$cargo" >/dev/null || die "the null shipper needs cargo"
    rm -rf "$work/tmp/null-src"
    cp -r "$bench/null" "$work/tmp/null-src"
    chmod -R u+w "$work/tmp/null-src"
    # A workspace of its own, so that WORK may lie inside another one (target/, say).
    grep -q '^\[workspace\]' "$work/tmp/null-src/Cargo.toml" || printf '\n[workspace]\n' >>"$work/tmp/null-src/Cargo.toml"
    quiet "$cargo" build --release --manifest-path "$work/tmp/null-src/Cargo.toml" --target-dir "$work/null"
    cp "$work/null/release/null" "$work/bin/null"
    rm -rf "$work/tmp/null-src"
    say "null: built"
fi

# --- the city database
if [ -s "$work/geo/city.mmdb" ]; then
    say "city.mmdb: there"
else
    rm -rf "$work/tmp/geo"
    mkdir -p "$work/tmp/geo"
    quiet python3 -m pip download --quiet --no-deps --dest "$work/tmp/geo" maxminddb-geolite2
    python3 - "$work/tmp/geo" "$work/geo/city.mmdb" <<'PY'
import glob, os, shutil, sys, tarfile, zipfile
folder, target = sys.argv[1:]
for archive in glob.glob(folder + "/*"):
    if archive.endswith((".whl", ".zip")):
        z = zipfile.ZipFile(archive)
        names, opener = z.namelist(), z.open
    else:
        t = tarfile.open(archive)
        names, opener = t.getnames(), t.extractfile
    for name in names:
        if name.endswith("GeoLite2-City.mmdb"):
            with opener(name) as src, open(target + ".part", "wb") as dst:
                shutil.copyfileobj(src, dst)
            os.rename(target + ".part", target)
            sys.exit(0)
sys.exit("no GeoLite2-City.mmdb in " + folder)
PY
    rm -rf "$work/tmp/geo"
    say "city.mmdb: unpacked"
fi

# --- rsyslog, a peer from Debian's packages
if dpkg-query -W -f='${Status}\n' rsyslog rsyslog-elasticsearch 2>/dev/null | grep -c '^install ok installed$' | grep -qx 2; then
    say "rsyslog: there"
else
    as=()
    if [ "$(id -u)" != 0 ]; then as=(sudo -n); fi
    if ! command -v apt-get >/dev/null || { [ ${#as[@]} -gt 0 ] && ! sudo -n true 2>/dev/null; }; then
        say "rsyslog: LEFT OUT (needs apt-get as root or by sudo without a password)"
    else
        quiet "${as[@]}" apt-get update -qq
        quiet "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rsyslog rsyslog-elasticsearch
        say "rsyslog: installed"
    fi
fi

# --- the corpora
for kind in nginx json mcp; do
    stamp="$work/data/.$kind.lines"
    if [ -s "$work/data/$kind.log" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$lines" ]; then
        say "$kind.log: there"
        continue
    fi
    rm -f "$stamp"
    quiet python3 "$bench/gen.py" "$kind" "$lines" "$work/data/$kind.log.part"
    mv "$work/data/$kind.log.part" "$work/data/$kind.log"
    echo "$lines" >"$stamp"
    say "$kind.log: made, $lines lines, $(stat -c %s "$work/data/$kind.log") bytes"
done
say "ready: $work"
