#!/bin/bash
# simulate.sh SEEDS [FIRST [TWISTS]]
#
# The long form of the simulation (src/pipeline/tests/simulation.rs): a whole pipeline on a simulated disk, clock and
# bulk server, once for each of SEEDS seeds from FIRST (default: the time, so that every run tries others). A seed
# that fails is printed with the shortest list of actions that was found; add it, as it is printed (SEED or
# SEED+TWIST…), to tests/simulation-seeds.txt. TWISTS says what is tried beyond the plain form, as names of
# src/pipeline/tests/simulation/twist.rs with `+` between them, or `plain`; without it the forms take turns by the
# seed. The same seed gives the same run on every machine.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seeds=${1:?usage: simulate.sh SEEDS [FIRST]}
export LOGWEIR_SIM_SEEDS=$seeds LOGWEIR_TEST_SEED=${2:-$(date +%s)}
if [ -n "${3:-}" ]; then
    export LOGWEIR_SIM_TWISTS=$3
fi
exec nice "${CARGO:-cargo}" test --locked --lib simulation::every -- --nocapture
