#!/bin/bash
# Writes the files of this folder anew by the tools themselves, then takes out what tells of one machine.
# pytest-benchmark 5.0.0 and 5.3.1, pyperf 2.11.0, asv 0.6.6, google-benchmark 1.9.5 (Python) from PyPI;
# hyperfine 1.15.0, Google Benchmark 1.7.1, Go 1.19 from Debian 12.
# by_hand/ is not written here: criterion, nvbench, Bencher and github-action-benchmark, from their documentation.
set -euo pipefail
# An argument names a folder where the two environments are kept for the next time.
here=$(cd "$(dirname "$0")" && pwd)
tools=$(realpath "${1:-$(mktemp -d)}")
work=$(mktemp -d)/project
mkdir -p "$work"
trap 'rm -rf "$(dirname "$work")"' EXIT

new=$tools/new/bin old=$tools/old/bin
[ -x "$new/asv" ] || (python3 -m venv "$tools/new" && "$new/pip" install -q pytest-benchmark==5.3.1 numpy pyperf==2.11.0 asv==0.6.6 google-benchmark==1.9.5)
[ -x "$old/pytest" ] || (python3 -m venv "$tools/old" && "$old/pip" install -q pytest-benchmark==5.0.0 'pytest<9' numpy)
cd "$work"

mkdir tests && cp "$here/sources/test_examples.py" tests/
quick="-q -p no:cacheprovider"
$new/pytest $quick tests --benchmark-json "$here/pytest_benchmark_5.3.1.json" || true
$old/pytest $quick tests -k "names or plain" --benchmark-json "$here/pytest_benchmark_5.0.0.json" || true
$new/pytest $quick tests -k plain --benchmark-storage=file://saved --benchmark-save=no_data || true
cp saved/*/0001_no_data.json "$here/pytest_benchmark_saved.json"

pyperf="--processes 3 --values 2 --warmups 1 --min-time 0.001 -q"
$new/python "$here/sources/pyperf_examples.py" $pyperf -o two.json && mv two.json "$here/pyperf_two.json"
ONE=1 $new/python "$here/sources/pyperf_examples.py" $pyperf --inherit-environ ONE -o one.json && mv one.json "$here/pyperf_one.json"

hyperfine --style none -N -i --runs 3 --parameter-list word 'a b,"c"' 'echo {word}' 'false' 'false' --export-json "$here/hyperfine.json"
hyperfine --style none -N --runs 1 true --export-json "$here/hyperfine_one.json"

g++ -O1 -std=c++17 "$here/sources/google.cc" -lbenchmark -lpthread -o google
./google --benchmark_min_time=0.001 --benchmark_out="$here/google_1.7.1.json" --benchmark_out_format=json > /dev/null
./google --benchmark_min_time=0.001 --benchmark_filter=Args --benchmark_report_aggregates_only=true \
    --benchmark_out="$here/google_aggregates.json" --benchmark_out_format=json > /dev/null
$new/python - --benchmark_min_time=0.001s --benchmark_out="$here/google_1.9.5.json" --benchmark_out_format=json > /dev/null <<'P'
import sys
import google_benchmark as benchmark

@benchmark.register
@benchmark.option.unit(benchmark.kMicrosecond)
@benchmark.option.repetitions(2)
def total(state):
    while state:
        sum(range(100))
    state.counters["endless"] = float("inf")

@benchmark.register
def skipped(state):
    state.skip_with_error("not here")
    while state:
        pass

benchmark.main(sys.argv)
P

mkdir go && cp "$here/sources/example_test.go" go/ && cd go
printf 'module example\n\ngo 1.19\n' > go.mod
GOFLAGS=-mod=mod GOCACHE="$work/gocache" go test -run none -bench . -benchtime 100x -count 3 > "$here/go_1.19.txt"
cd "$work"

mkdir asv && cd asv
export GIT_AUTHOR_DATE=2026-01-01T00:00:00Z GIT_COMMITTER_DATE=2026-01-01T00:00:00Z  # the name of a file is the commit's
git init -q && git -c user.name=a -c user.email=a@b -c commit.gpgsign=false commit -q --allow-empty -m begin
mkdir benchmarks && cp "$here/sources/asv_examples.py" benchmarks/examples.py && touch benchmarks/__init__.py
cat > asv.conf.json <<'J'
{"version": 1, "project": "example", "repo": ".", "branches": ["HEAD"], "environment_type": "existing"}
J
$new/asv machine --yes --machine one > /dev/null
asv="$new/asv run --machine one --python=same --set-commit-hash $(git rev-parse HEAD) --quick"
$asv --record-samples > /dev/null || true
rm -rf "$here/asv" && mkdir -p "$here/asv" && cp -r results "$here/asv/samples"
rm -r results && $new/asv machine --yes --machine one > /dev/null
$new/asv run --machine one --python=same --set-commit-hash "$(git rev-parse HEAD)" --bench plain -a processes=1 -a repeat=5 > /dev/null || true
cp -r results "$here/asv/quartiles"

$new/python "$here/anonymous.py" "$here"
