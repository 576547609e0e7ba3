#!/bin/bash
# run.sh [ARGUMENT ...]
#
# All tests, with real servers: installs what they need (tests/tools/install.sh), then runs
# `cargo test --features real-servers ARGUMENT ...`. For a plain Debian 12 machine with Rust, curl and git; root, or
# sudo without a password: packages are installed, and one test mounts a small file system.
#
# Environment:
#   LOGWEIR_TEST_CACHE   where the servers are unpacked (default: target/test-tools)
#   LOGWEIR_TEST_SEED    the seed that a test printed, to see the same random choices again
#   RUST_TEST_THREADS    tests at a time (default here: 4, most of them wait for a server)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tests/tools/install.sh
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
exec "${CARGO:-cargo}" test --locked --features real-servers "$@"
