#!/bin/bash
# browser.sh [--keep FOLDER]
#
# The status page in a real browser: starts an agent whose outputs are well, dead and refused, opens its page in
# headless Chromium in light and dark, and checks what a reader sees and that nothing is loaded from elsewhere. Installs
# Chromium by apt where it is missing (125 MB).
#
#   --keep FOLDER   leaves the pictures there
#
# Environment: LOGWEIR_BINARY, the agent (default: target/debug/logweir, built)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/tools/install.sh browser
if [ -z "${LOGWEIR_BINARY:-}" ]; then
    "${CARGO:-cargo}" build --locked --quiet
    export LOGWEIR_BINARY=$PWD/target/debug/logweir
fi
exec python3 tests/long/browser.py "$@"
