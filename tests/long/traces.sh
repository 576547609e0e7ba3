#!/bin/bash
# traces.sh
#
# The agent's traces against OpenTelemetry's own definition: an agent reads lines and sends a trace of every batch to a
# receiver that takes its requests apart with the official classes (opentelemetry-proto, from pip) and refuses every field
# that those do not know. Checks that each trace is one tree that tells the way from reading to the last output. Seconds.
#
# Environment: LOGWEIR_BINARY, the agent (default: target/debug/logweir, built)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/tools/install.sh traces
if [ -z "${LOGWEIR_BINARY:-}" ]; then
    "${CARGO:-cargo}" build --locked --quiet
    export LOGWEIR_BINARY=$PWD/target/debug/logweir
fi
exec "${LOGWEIR_TEST_CACHE:-target/test-tools}/opentelemetry/bin/python" tests/long/traces.py
