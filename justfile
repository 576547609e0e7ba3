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

# The golden folders and the texts of errors, written anew: read the difference before committing
golden:
    UPDATE_GOLDEN=1 cargo test --test suite -- golden diagnostics geo_database
