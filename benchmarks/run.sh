#!/usr/bin/env bash
# Runs the benchmarks on the CPU of an otherwise idle machine, about 40 minutes on 2 cores. It writes
# benchmarks/results/DATE.json and a plot next to it, and prints the tables. The JSON file keeps all finished
# measurements if a part fails or is interrupted.
#
#     benchmarks/run.sh [--anyway] [PART ...]     all parts, or some of:
#                                                 start steps profile sparse peers products predict scaling
#
# --anyway       measure although other programs are running
# CORES          the cores to use, in the format of taskset; default 0,1
# PEERS_PYTHON   an interpreter with the packages of benchmarks/peers/requirements.txt; by default venv-peers is created
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

ALL=(start steps profile sparse peers products predict scaling)
CORES=${CORES:-0,1}
MAXIMUM_LOAD=0.5

anyway=no
[ "${1:-}" = --anyway ] && { anyway=yes; shift; }
[ $# = 0 ] && set -- "${ALL[@]}"
for part; do
    case " ${ALL[*]} " in
        *" $part "*) ;;
        *) echo "error: unknown part '$part'; known: ${ALL[*]}" >&2; exit 2 ;;
    esac
done

make_venv_peers() {
    local python requirements=benchmarks/peers/requirements.txt
    for python in python3.12 python3.13 python3.11 python3; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
    done
    echo "== venv-peers"
    # The CPU build of PyTorch is small; PyPI has only the build for CUDA.
    "$python" -m venv venv-peers &&
        { venv-peers/bin/pip install -qq --retries 1 --index-url https://download.pytorch.org/whl/cpu \
            "$(grep ^torch== $requirements)" || true; } &&
        venv-peers/bin/pip install -q -r $requirements && return
    rm -rf venv-peers
    echo "venv-peers could not be created: comparisons with PyTorch and JAX are left out" >&2
}

case " $* " in
    *" peers "* | *" predict "*) [ -n "${PEERS_PYTHON:-}" ] || [ -x venv-peers/bin/python ] || make_venv_peers ;;
esac

load=$(cut -d' ' -f1 /proc/loadavg)
if [ "$(echo "$load $MAXIMUM_LOAD" | awk '{ print ($1 > $2) }')" = 1 ]; then
    echo "the load average is $load: other programs are running, or were running in the last minutes" >&2
    [ $anyway = yes ] || { echo "error: wait until it is below $MAXIMUM_LOAD, or measure with --anyway" >&2; exit 1; }
fi

mkdir -p benchmarks/results
results=benchmarks/results/$(date +%F).json
failed=()

finish() {
    echo
    [ -f "$results" ] && venv/bin/python benchmarks/report.py "$results"
    [ ${#failed[@]} = 0 ] && exit 0
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit "${1:-1}"
}

measure() {                                 # measure SCRIPT ARGUMENT...
    local status
    echo "== $*"
    taskset -c "$CORES" venv/bin/python "benchmarks/$1" "${@:2}" --json "$results"
    status=$?
    [ $status = 0 ] || failed+=("$*")
    [ $status != 130 ] || finish 130        # Ctrl-C
}

peers=(--peers-python "${PEERS_PYTHON:-venv-peers/bin/python}")
networks=("IMDB LLLCCL" "AGNews LLLCCL" "Char_PTB LCCL" "Word_PTB LCCL" "language_modeling dense-1150"
    "language_modeling sparse-1725")
# shellcheck disable=SC2086
for part; do
    case $part in
        start)
            measure training_step.py IMDB LLLCCL --cold
            venv/bin/python benchmarks/training_step.py IMDB LLLCCL --steps 1 >/dev/null    # fills the compile cache
            measure training_step.py IMDB LLLCCL ;;
        steps)
            for network in "${networks[@]}" "IMDB LLLCCL --tokens zipf"; do measure training_step.py $network; done ;;
        profile) for network in "${networks[@]}"; do measure training_step.py $network --profile; done ;;
        sparse) measure sparse_lstm.py ;;
        peers) measure compare_with_peers.py "${peers[@]}" ;;
        products) measure matrix_products.py ;;
        predict) measure predict.py "${peers[@]}" ;;
        scaling) measure scaling.py ;;
    esac
done
finish
