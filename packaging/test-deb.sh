#!/bin/bash
# test-deb.sh [--no-build | --deb FILE] [--lines N]
#
# The long form of the test of the Debian package: a Debian 12 of its own (debootstrap), started by systemd-nspawn with a
# real systemd as process 1, gets the package, ships a file that root alone may read to a real Elasticsearch on this
# machine's loopback, is reloaded, killed and upgraded while lines are written, is removed, installed again and purged.
# Meanwhile a service writes to the machine's real systemd-journald, whose files are rotated, and the input `journald` reads
# them. In the end every line and every entry is in Elasticsearch once. Then the rpm's files and scripts in such a tree.
# About two minutes when everything is there; root only. Prints what it saw, line by line; docs/operations.md has the
# last result.
#
#   --no-build   takes target/release/logweir as it is
#   --deb        takes a package that was built before
#   --lines      how many lines are written (default: 40000, in about 40 s)
# shellcheck disable=SC2015,SC2016 # `die` ends it all; dpkg-query's own variables
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
lines=40000
build=()
deb=
while [ $# -gt 0 ]; do
    case $1 in
    --no-build) build=(--no-build) ;;
    --deb) deb=$(realpath "$2"); shift ;;
    --lines) lines=$2; shift ;;
    *) sed -n '2,/^# shellcheck/{/^# shellcheck/d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
    esac
    shift
done
[ "$(id -u)" = 0 ] || { echo "test-deb: run this as root: it starts a machine" >&2; exit 1; }
export LOGWEIR_TEST_CACHE=${LOGWEIR_TEST_CACHE:-$PWD/target/test-tools}
cache=$LOGWEIR_TEST_CACHE
tests/tools/install.sh packages search nspawn
mirror=${LOGWEIR_DEBIAN_MIRROR:-http://deb.debian.org/debian}
base=$cache/debian-bookworm
if [ ! -d "$base" ]; then
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$base.new" "$mirror" >"$cache/debootstrap.log"
    mv "$base.new" "$base"
fi

work=$(mktemp -d /var/tmp/logweir-deb.XXXXXX)
root=$work/root
port=19277 index=deb-test
started=()
machine=
finish() {
    status=$?
    trap - EXIT
    if [ "$status" != 0 ] && [ -n "$machine" ]; then
        inside journalctl --no-pager -n 40 -u logweir >&2 || true
        tail -n 5 "$work/boot.log" "$work/search.log" >&2 || true
    fi
    if [ -n "$machine" ]; then
        kill -s RTMIN+3 "$machine" 2>/dev/null || true
        for _ in $(seq 100); do kill -0 "$machine" 2>/dev/null || break; sleep 0.2; done
    fi
    for id in "${started[@]}"; do kill "$id" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
say() { printf '%3d s  %s\n' "$SECONDS" "$*"; }
die() { printf 'test-deb: %s\n' "$*" >&2; exit 1; }
inside() { nsenter -t "$machine" -a -- env PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
until_true() { # SECONDS WHAT COMMAND ...
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || die "not in time: $what"
        sleep 0.2
    done
}

# Two versions of the package: the second one differs by its number alone.
if [ -z "$deb" ]; then
    packaging/build-packages.sh "${build[@]}" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
    deb=$(echo target/package/*.deb)
fi
cp "$deb" "$work/old.deb"
dpkg-deb -R "$deb" "$work/new"
sed -i 's/^Version: .*/Version: 99.0.0-1/' "$work/new/DEBIAN/control"
dpkg-deb -Znone -b "$work/new" "$work/new.deb" >/dev/null
say "packages: $(dpkg-deb -f "$work/old.deb" Version), then $(dpkg-deb -f "$work/new.deb" Version)"

# However full this machine's disk is: the index is small.
tests/tools/search-node.sh elasticsearch "$port" "$work/search" \
    -Ecluster.routing.allocation.disk.threshold_enabled=false >"$work/search.log" 2>&1 &
started+=($!)
cp -a "$base" "$root"
rm -f "$root/etc/machine-id"
# There journald keeps its files, as on a machine with a disk.
mkdir -p "$root/var/log/journal"
systemd-nspawn -D "$root" --boot --register=no --keep-unit --console=read-only --link-journal=no \
    --kill-signal=SIGRTMIN+3 --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" \
    </dev/null >"$work/boot.log" 2>&1 &
nspawn=$!
started+=("$nspawn")
find_machine() { machine=$(pgrep -P "$nspawn" -x systemd); }
until_true 60 "systemd as process 1" find_machine
booted() { case $(inside systemctl is-system-running 2>/dev/null) in running | degraded) true ;; *) false ;; esac; }
until_true 120 "the machine is up" booted
say "booted: systemd $(inside systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'), $(inside systemctl is-system-running || true)"
until_true 180 "Elasticsearch" grep -q READY "$work/search.log"
say "Elasticsearch is ready"

# Installed: enabled, but nothing to do yet.
cp "$work/old.deb" "$work/new.deb" "$root/"
inside dpkg -i /old.deb >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; die "dpkg -i"; }
inside systemctl is-enabled -q logweir || die "the service is not enabled"
if inside systemctl is-active -q logweir; then die "it runs without a pipeline"; fi
if inside systemctl is-failed -q logweir; then die "it failed for want of a pipeline"; fi
inside id logweir >/dev/null || die "no user logweir"
say "installed: enabled, waits for a pipeline"

# A log that root alone may read, a secret that root alone may read.
install -d -m 700 "$root/var/log/shop"
: >"$root/var/log/shop/app.log"
chmod 600 "$root/var/log/shop/app.log"
install -m 600 /dev/stdin "$root/etc/logweir/secrets/elastic" <<<"bG9nd2VpcjpzZWNyZXQ="
cat >"$root/etc/logweir/pipelines/shop.toml" <<END
[inputs.app]
type = "file"
paths = ["/var/log/shop/*.log"]
codec = "json"
[outputs.logs]
type = "elasticsearch"
hosts = ["http://127.0.0.1:$port"]
index = "$index"
api_key = { file = "\${CREDENTIALS_DIRECTORY}/secret_elastic" }
END
# Entries of one service, from journald's files.
cat >"$root/etc/logweir/pipelines/units.toml" <<END
[inputs.units]
type = "journald"
units = ["chatty"]
[[filters]]
type = "json"
field = "message"
[outputs.logs]
type = "elasticsearch"
hosts = ["http://127.0.0.1:$port"]
index = "$index-units"
END
inside systemctl start logweir || die "it does not start"
pid() { inside systemctl show -P MainPID logweir; }
first=$(pid)
inside grep -E '^(NoNewPrivs|Seccomp|CapEff|Uid):' "/proc/$first/status" | tr '\t\n' '  ' >"$work/status"
grep -q 'NoNewPrivs: 1' "$work/status" && grep -q 'Seccomp: 2' "$work/status" || die "not confined: $(cat "$work/status")"
grep -q 'CapEff: 0000000000000004' "$work/status" || die "other capabilities: $(cat "$work/status")"
say "started: $(inside systemctl show -P StatusText logweir); $(cat "$work/status")"

write() { # FROM TO   a hundred lines at once, a thousand a second
    local n
    for ((n = $1; n < $2; n += 100)); do
        for ((k = n; k < n + 100; k++)); do printf '{"seq":%d,"message":"line %d"}\n' "$k" "$k"; done >>"$root/var/log/shop/app.log"
        sleep 0.1
    done
}
entries=$((lines / 20))
# Twenty a second or more, from a service that journald takes down the name and the process of.
inside systemd-run -q --unit=chatty -p LogRateLimitIntervalSec=0 sh -c \
    "n=0; while [ \$n -lt $entries ]; do echo \"{\\\"seq\\\":\$n}\"; n=\$((n + 1)); [ \$((n % 2)) = 1 ] || sleep 0.02; done"
ask() { curl -s -m 10 "http://127.0.0.1:$port/$index$1" -H 'Content-Type: application/json' "${@:2}"; }
# INDEX COUNT   each number below COUNT is there once
each_once() {
    local stats
    stats=$(ask "$1/_search" -d '{"size":0,"track_total_hits":true,"query":{"exists":{"field":"seq"}},"aggs":{"s":{"extended_stats":{"field":"seq"}}}}')
    python3 - "$2" "$stats" <<'PY' || die "not each once: $stats"
import json, sys
n, answer = int(sys.argv[1]), json.loads(sys.argv[2])
s = answer["aggregations"]["s"]
want = (n, 0, n - 1, n * (n - 1) / 2)
have = (answer["hits"]["total"]["value"], s["min"], s["max"], s["sum"])
squares = (n - 1) * n * (2 * n - 1) // 6
sys.exit(0 if have == want and abs(s["sum_of_squares"] - squares) <= squares * 1e-12 else 1)
PY
}
count() { ask "${1:-}/_refresh" -XPOST >/dev/null; ask "${1:-}/_count" | sed -n 's/.*"count":\([0-9]*\).*/\1/p'; }
has() { [ "$(count "${2:-}")" -ge "$1" ]; }
rotate() { inside journalctl --rotate -q || die "journald does not rotate"; }
write 0 "$lines" &
writer=$!
until_true 120 "lines arrive" has 1000
inside systemctl reload logweir
say "reloaded under load: $(count) lines there"
until_true 60 "entries of journald arrive" has 20 -units
rotate
inside systemctl kill -s KILL logweir
until_true 60 "it is back after SIGKILL" inside systemctl is-active -q logweir
say "killed under load, back: $(count) lines there, $(count -units) entries of journald"
rotate
before=$(pid)
inside dpkg -i /new.deb >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; die "the upgrade"; }
until_true 60 "it runs after the upgrade" inside systemctl is-active -q logweir
[ "$(pid)" != "$before" ] || die "the upgrade did not restart the service"
say "upgraded under load: $(inside dpkg-query -W -f '${Version}' logweir), $(count) lines there"
kill -0 "$writer" 2>/dev/null || die "the writer was done before the upgrade: give more --lines"
wait "$writer"
until_true 120 "all lines" has "$lines"
say "all $lines lines are written and there"

# Removed: state, pipelines and secrets stay; what is written meanwhile is shipped by the next installation.
inside dpkg -r logweir >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; die "the removal"; }
if inside systemctl is-active -q logweir; then die "it runs after its removal"; fi
[ -d "$root/var/lib/logweir/shop" ] && [ -e "$root/etc/logweir/pipelines/shop.toml" ] || die "the removal took state"
all=$((lines + 1000))
write "$lines" "$all"
inside dpkg -i /new.deb >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; die "the second installation"; }
until_true 60 "the rest" has "$all"
sleep 2
say "removed, installed again: $(count) lines there"
each_once "" "$all"
say "each of the $all lines is there once"
until_true 300 "the service that writes to journald ends" inside sh -c '! systemctl is-active -q chatty'
until_true 120 "all entries of journald" has "$entries" -units
each_once -units "$entries"
has $((entries + 1)) -units || die "journald: what systemd itself says of the service is missing"
files=$(find "$root/var/log/journal" -name 'system*.journal' | wc -l)
# One of the service's own entries: systemd's about it come from another unit.
unit=$(ask -units/_search -d '{"size":1,"query":{"exists":{"field":"seq"}}}' | grep -c '"unit":"chatty.service"' || true)
[ "$files" -ge 3 ] && [ "$unit" = 1 ] || die "journald: $files files; the unit is said $unit times"
say "each of the $entries entries of journald is there once, from $files files"
say "live: $(inside systemd-analyze security --no-pager logweir.service | sed -n 's/^→ //p' | tr -d '🙂')"
inside dpkg --purge logweir >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; die "the purge"; }
[ ! -e "$root/var/lib/logweir" ] && [ ! -e "$root/etc/logweir/environment" ] || die "the purge left state"
[ -e "$root/etc/logweir/pipelines/shop.toml" ] || die "the purge took the user's pipeline"
say "purged: state is gone, the user's pipelines are not"

# Both in trees where no systemd runs and /proc is not there, as in an image that is being built. The rpm: its files and
# scripts; rpm's own database lies in the tree, and its dependencies are those of other distributions.
tree=$work/image
cp -a "$base" "$tree"
cp "$work/old.deb" "$tree/"
folders() { [ -d "$tree/etc/logweir/pipelines" ] && [ "$(stat -c %a "$tree/etc/logweir/secrets")" = 700 ] && grep -q '^logweir:' "$tree/etc/passwd"; }
chroot "$tree" dpkg -i /old.deb >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; die "dpkg -i without systemd"; }
folders || die "dpkg -i without systemd: no user, or no folders"
chroot "$tree" dpkg --purge logweir >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; die "the purge without systemd"; }
say "deb: installed and purged where no systemd runs"
rpm=$(echo target/package/*.rpm)
[ -e "$rpm" ] || { say "no rpm in target/package: its scripts were not run"; exit 0; }
tree=$work/rpm
cp -a "$base" "$tree"
rpm_() { rpm --force-debian --root "$tree" --nodeps "$@" >"$work/rpm.log" 2>&1 || { cat "$work/rpm.log" >&2; die "rpm $1"; }; }
rpm_ -i "$rpm"
folders || die "rpm: no user, or no folders"
chroot "$tree" logweir --version >/dev/null || die "rpm: the binary does not run"
chroot "$tree" systemd-analyze verify /usr/lib/systemd/system/logweir.service || die "rpm: the unit"
[ -z "$(rpm --root "$tree" -V --nodeps logweir 2>&1)" ] || die "rpm -V finds changed files"
echo '#mine' >>"$tree/etc/logweir/environment"
touch "$tree/etc/logweir/pipelines/mine.toml"
mkdir -p "$tree/var/lib/logweir/mine"
rpm_ -U --force "$rpm"
grep -q '#mine' "$tree/etc/logweir/environment" || die "rpm: an upgrade took the changed environment file"
rpm_ -e logweir
[ ! -e "$tree/usr/bin/logweir" ] && [ -e "$tree/etc/logweir/pipelines/mine.toml" ] && [ -d "$tree/var/lib/logweir/mine" ] \
    || die "rpm: the removal left the program or took the user's pipelines or state"
say "rpm: installed, verified, upgraded with a changed environment file, removed: pipelines and state stay"
