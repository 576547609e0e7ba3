#!/bin/bash
# The long form of tests/real/crash.rs: the agent is killed 500 times in each way of rotating (about 15 minutes each).
# LOGWEIR_KILLS and LOGWEIR_TEST_SEED are taken when given; needs what tests/tools/install.sh installs.
set -euo pipefail
cd "$(dirname "$0")/../.."
export LOGWEIR_KILLS=${LOGWEIR_KILLS:-500}
exec nice cargo test --features real-servers --test real crash:: -- --nocapture --test-threads 1
