#!/bin/bash
# Measures `logweir import` on a folder of configurations of your own: DIR/logstash, DIR/fluentd and DIR/fluent-bit,
# each with files or folders of them. Every file is imported by itself, and what was written is checked.
#
#   tests/long/import.sh DIR            the figures
#   tests/long/import.sh DIR --list     and why what failed failed, the most frequent reason first
#
# Prints for each language: files, plugin instances converted / with a difference / not convertible, files with syntax
# errors, outputs that `check` refuses (without and with a TODO in them), panics. LOGWEIR is the program to measure.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
LOGWEIR=${LOGWEIR:-$here/target/debug/logweir}
[ -x "$LOGWEIR" ] || (cd "$here" && cargo build)
exec python3 "$here/tests/long/import.py" "$LOGWEIR" "$@"
