#!/bin/bash
# server-faults.sh [TEST ...]
#
# The long form of tests/real/server_faults.rs and tests/real/cluster.rs: a real Elasticsearch killed again and again
# during a load, connections cut after the documents were stored, servers that answer wrongly, and the refusals of a
# cluster of three. Installs what it needs (tests/tools/install.sh), prints seeds and what was observed.
#
#   TEST   part of a test's name (default: server_faults)
#
# Environment:
#   LOGWEIR_FAULT_ROUNDS  rounds of each test (default here: 10; 1 in CI)
#   LOGWEIR_TEST_SEED     the seed that a run printed, to see the same random choices again
#   LOGWEIR_BENCH         the folder of the shared benchmark, for the faults of its server (default: without)
#   LOGWEIR_TEST_CACHE    where the servers are unpacked (default: target/test-tools)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export LOGWEIR_FAULT_ROUNDS=${LOGWEIR_FAULT_ROUNDS:-10}
tests/tools/install.sh
if [ $# = 0 ]; then set -- server_faults; fi
exec nice "${CARGO:-cargo}" test --locked --features real-servers --test real -- \
    --nocapture --test-threads "${RUST_TEST_THREADS:-1}" "$@"
