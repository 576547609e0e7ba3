#!/bin/bash
# run.sh [--seconds N] [--jobs J] [--seed S] [--merge] [TARGET …]
# run.sh --gate [--jobs J] [TARGET …]
#
# Builds the fuzz targets with the stable toolchain and runs each (default: all) for N seconds, J at a time. Findings
# lie in fuzz/artifacts/TARGET/; what was learned, in fuzz/target/corpus/TARGET/. `--merge` then takes the inputs
# that reach something new, the shortest first, into fuzz/corpus/TARGET/. Every run tries other inputs, unless `--seed`
# names one.
# `--gate` is about a minute that tests a change and not the day's luck or the machine's speed: for each target the
# number of runs that gate.txt names, from the corpus of the repository alone, always with the same changes in the same
# order. The exit code is 1 when a target failed.
set -euo pipefail

seconds=60 jobs=1 seed=0 merge=no gate=no targets=()
while [ $# -gt 0 ]; do
    case $1 in
        --seconds) seconds=$2; shift 2 ;;
        --jobs) jobs=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        --merge) merge=yes; shift ;;
        --gate) gate=yes seed=1; shift ;;
        --*) printf 'run.sh: unknown option %s\n' "$1" >&2; exit 2 ;;
        *) targets+=("$1"); shift ;;
    esac
done

cd "$(dirname "${BASH_SOURCE[0]}")"
if [ ${#targets[@]} = 0 ]; then
    for folder in corpus/*/; do targets+=("$(basename "$folder")"); done
fi

# The flags of cargo-fuzz without a sanitizer, which is what needs the nightly toolchain: logweir has no unsafe code.
flags='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4'
flags+=' -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table'
flags+=' -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 --cfg fuzzing'
host=$(rustc -vV | sed -n 's/^host: //p')
# With `--target`, the flags are for the program and not for build scripts and macros.
RUSTFLAGS="$flags" "${CARGO:-cargo}" build --release --target "$host" --bin all
program=$PWD/target/$host/release/all
run=("$program")
# The fuzzer learns from compared pointers, too: with addresses in fixed places it learns the same each time.
if [ $gate = yes ] && setarch -R true 2>/dev/null; then run=(setarch -R "$program"); fi

one() {
    local name=$1 learned=target/corpus/$1 log=target/log/$1.txt found=artifacts/$1/ began=$SECONDS options=()
    if [ $gate = yes ]; then
        learned=target/gate/$name
        rm -rf "$learned"
        options=("-runs=$(sed -n "s/^$name //p" gate.txt)" -reload=0)
        # A folder is read in the order of the file system; a list is not.
        options+=("-seed_inputs=$(find "corpus/$name" -type f | LC_ALL=C sort | paste -sd,)")
    else
        options=("-max_total_time=$seconds")
    fi
    local folders=("$learned")
    if [ $gate = no ]; then folders+=("corpus/$name"); fi
    mkdir -p "$learned" target/log "$found"
    if [ -f "dictionaries/$name.txt" ]; then options+=("-dict=dictionaries/$name.txt"); fi
    if ! LOGWEIR_FUZZ_TARGET=$name "${run[@]}" -seed="$seed" -timeout=10 -rss_limit_mb=1536 \
        -max_len=4096 -print_final_stats=1 "${options[@]}" -artifact_prefix="$found" \
        "${folders[@]}" >"$log" 2>&1; then
        grep -aE -m 3 'panicked|ERROR|promise' -A 3 "$log" >&2 || tail -n 5 "$log" >&2
        printf '%-14s FAILED, see fuzz/%s and fuzz/%s\n' "$name" "$log" "$found"
        return 1
    fi
    local runs last
    runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
    last=$(grep -aoE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$log" | tail -n 1)
    printf '%-14s %5d s %12d runs  %s\n' "$name" $((SECONDS - began)) "$runs" "$last"
}

# The learned inputs that reach something new, the shortest first, while the target's seeds stay below 14,000 bytes.
merge() {
    local name=$1 seeds=corpus/$1 new=target/merged/$1 size input used
    rm -rf "$new"
    mkdir -p "$new"
    find "$seeds" -type f -regextype egrep -regex '.*/[0-9a-f]{40}' -exec mv -t "target/corpus/$name" {} +
    LOGWEIR_FUZZ_TARGET=$name "$program" -merge=1 -timeout=10 -max_len=1024 "$new" "$seeds" "target/corpus/$name" \
        >"target/log/$name-merge.txt" 2>&1
    used=$(find "$seeds" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')
    while read -r size input; do
        used=$((used + size))
        if [ $used -gt 14000 ]; then break; fi
        cp "$new/$input" "$seeds/"
    done < <(find "$new" -type f -printf '%s %f\n' | sort -n)
}

failed=0 running=0
for name in "${targets[@]}"; do
    if [ $running -ge "$jobs" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    one "$name" &
    running=$((running + 1))
done
for ((; running > 0; running--)); do wait -n || failed=1; done
if [ $merge = yes ]; then
    for name in "${targets[@]}"; do merge "$name"; done
fi
exit $failed
