# The jobs of CI, one recipe each; `just ci` runs them all.

# All that `.ci/run` does
ci:
    bash .ci/run

# Format and lint
lint:
    cargo fmt --check
    cargo clippy --all-targets --features real-servers -- -D warnings

# Tests that need nothing but the repository
test:
    cargo test

# All tests, with real servers; installs what they need
test-all:
    tests/run.sh

# Each fuzz target for so many minutes: `just fuzz MINUTES=30`, `just fuzz 5 grok toml`
fuzz minutes="30" *targets:
    minutes={{minutes}}; fuzz/run.sh --seconds "$((${minutes#MINUTES=} * 60))" --merge {{targets}}

# The golden folders and the texts of errors, written anew: read the difference before committing
golden:
    UPDATE_GOLDEN=1 cargo test --test suite -- golden diagnostics geo_database

# Servers that fail again and again, for LOGWEIR_FAULT_ROUNDS rounds (10)
server-faults *TESTS:
    tests/long/server-faults.sh {{TESTS}}

# All goals of speed, memory and latency on this machine: a table and a report; `just bench --quick`, `just bench --only tcp`
bench *ARGUMENTS:
    python3 bench/run.py {{ARGUMENTS}}

# Instructions that each part spends on an event, against bench/budgets.toml; needs valgrind
budgets *ARGUMENTS:
    python3 bench/budgets.py {{ARGUMENTS}}

# Grok against Oniguruma with a seed of its own, a million comparisons, and each name of the dictionary on hostile lines
# of 1 MiB, by steps and by the clock
grok-proof ROUNDS="14":
    GROK_SEED="$(date +%s%N)" GROK_ROUNDS={{ROUNDS}} GROK_HOSTILE_BYTES=1048576 cargo test --release --test suite -- grok_ --nocapture
    GROK_HOSTILE=1 cargo bench --bench grok

# The table of grok beside Oniguruma
grok-table:
    cargo bench --bench grok

# What one dead output costs the others, in percent
isolation *ARGUMENTS:
    python3 bench/isolation.py {{ARGUMENTS}}

# A whole pipeline on a simulated disk, clock and cluster, once for each seed: `just simulate SEEDS=10000`
simulate SEEDS="10000":
    tests/long/simulate.sh "$(echo {{SEEDS}} | sed 's/^SEEDS=//')"

# Kills the agent 500 times in each way of rotating and counts every line (over an hour; `just kills --release`)
kills *ARGUMENTS:
    bash tests/long/kills.sh {{ARGUMENTS}}
