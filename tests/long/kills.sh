#!/bin/bash
# kills.sh [--release] [TEST …]
#
# The long form of tests/real/crash.rs: the agent is killed 500 times in each way of rotating (10 to 15 minutes each, one
# after the other; RUST_TEST_THREADS=3 takes three at a time where the machine has room). With `--release` it is the
# agent as users run it, which needs less of the machine. LOGWEIR_KILLS and LOGWEIR_TEST_SEED are taken when given;
# needs what tests/tools/install.sh installs.
set -euo pipefail
cd "$(dirname "$0")/../.."
profile=()
if [ "${1:-}" = --release ]; then profile=(--release); shift; fi
if [ $# = 0 ]; then set -- crash::; fi
export LOGWEIR_KILLS=${LOGWEIR_KILLS:-500}
exec nice "${CARGO:-cargo}" test --locked "${profile[@]}" --features real-servers --test real -- \
    --nocapture --test-threads "${RUST_TEST_THREADS:-1}" "$@"
