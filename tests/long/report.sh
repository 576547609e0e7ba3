#!/bin/bash
# report.sh [FOLDER]
#
# `logweir report` on 1 GB: half an access log with times, half an application's JSON lines with errors and calls of
# tools, made in FOLDER (default: a new one in /var/tmp) and removed. What is counted must be what was written, and two
# cores must need less than 5 s for it: the processor's time counts, so that other work on the machine decides nothing.
#
# Environment: LOGWEIR_BINARY, the agent (default: target/release/logweir, built)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ -z "${LOGWEIR_BINARY:-}" ]; then
    "${CARGO:-cargo}" build --locked --release --quiet
    LOGWEIR_BINARY=$PWD/target/release/logweir
fi
work=$(mktemp -d "${1:-/var/tmp}/logweir-report.XXXXXX")
trap 'rm -rf "$work"' EXIT

python3 - "$work" "$LOGWEIR_BINARY" <<'PY'
import json
import os
import resource
import subprocess
import sys
import time

folder, binary = sys.argv[1:]
log, GOAL = f"{folder}/app.log", 1_000_000_000


def access(n):
    method, status = ("GET", "POST", "PUT")[n % 3], (200, 200, 200, 304, 404, 500, 502)[n % 7]
    return (f'10.{n % 7}.{n % 200}.{n % 250} - - [29/Nov/2026:{n % 24:02}:{n % 60:02}:{n % 60:02} +0000] "{method} /api/orders/{n}/items?page={n % 9} HTTP/1.1" '
            f'{status} {n % 9000} "https://shop.example/cart" "Mozilla/5.0 (X11; Linux x86_64) Firefox/{n % 90}.0" 0.{n % 1000:03}\n')


def application(n):
    line = {"timestamp": f"2026-11-29T{n % 24:02}:{n % 60:02}:{n % 60:02}.{n % 1000:03}Z", "level": "ERROR" if n % 10 == 0 else "INFO", "logger": "mcp.server"}
    if n % 3 == 0:
        line |= {"message": "tool called", "event_type": "tool_call", "tool_name": f"tool_{n % 8}", "success": n % 5 != 0, "duration_ms": n % 3000, "client_id": f"client-{n % 500}"}
    else:
        line |= {"message": f"cannot reach upstream-{n % 3} at 10.0.0.{n % 255}:8080 after {n % 100} tries: request {n:032x}"}
    return json.dumps(line) + "\n"


count = 100_000
parts = ["".join(make(n) for n in range(count)).encode() for make in (access, application)]
times = [GOAL // 2 // len(part) + 1 for part in parts]
with open(log, "wb") as out:
    for part, n in zip(parts, times):
        for _ in range(n):
            out.write(part)
size, lines = os.path.getsize(log), count * sum(times)
best = None
for form in ("--json", "--html", "--json"):
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([binary, "report", form, "-o", f"{folder}/out", log], check=True)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{form}: {size / 1e9:.2f} GB, {lines:,} lines: {wall:.2f} s, {cpu:.2f} s of processor, {after.ru_maxrss >> 10} MiB")
    best = min(cpu, best or cpu)
report = json.load(open(f"{folder}/out"))
calls = [n for n in range(count) if n % 3 == 0]
tools = {f"tool_{k}": [n for n in calls if n % 8 == k] for k in range(8)}
want = {"lines": lines, "unread": 0, "errors": count // 10 * times[1],
        "tools": {name: (len(all) * times[1], sum(n % 5 == 0 for n in all) * times[1]) for name, all in tools.items()}}
found = {"lines": report["lines"], "unread": report["unread"], "errors": report["levels"]["ERROR"],
         "tools": {one["name"]: (one["calls"], one["failed"]) for one in report["tools"]["top"]}}
for key, value in want.items():
    if found[key] != value:
        sys.exit(f"report: {key}: {found[key]}, not {value}")
if best > 2 * 5:
    sys.exit(f"report: {best:.1f} s of processor are more than two cores have in 5 s")
print(f"every line, error and call of a tool is counted; on two cores that leave it alone {best / 2:.1f} s")
PY
