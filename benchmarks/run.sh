#!/usr/bin/env bash
# Measures everything on a machine that does nothing else, in half an hour on 2 cores: benchmarks/results/DATE.json, the
# plot beside it, the tables on standard output. A part that fails or is interrupted leaves in the JSON what it measured.
#
#     benchmarks/run.sh [--anyway] [PART ...]     all parts, or some of: start steps sparse peers products predict scaling
#
# --anyway       measure although something else is running
# CORES          the cores to use, as taskset has them; 0,1 if not set
# TORCH_PYTHON   an interpreter with PyTorch; if not set, venv-torch is made
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

ALL=(start steps sparse peers products predict scaling)
TORCH=torch==2.13.0
CORES=${CORES:-0,1}
MOST_LOAD=0.5

anyway=no
[ "${1:-}" = --anyway ] && { anyway=yes; shift; }
[ $# = 0 ] && set -- "${ALL[@]}"
for part; do
    case " ${ALL[*]} " in
        *" $part "*) ;;
        *) echo "error: unknown part '$part'; known: ${ALL[*]}" >&2; exit 2 ;;
    esac
done

# Makes venv-torch with the CPU build, or with what PyPI has, of which the CPU part serves.
make_venv_torch() {
    local python
    for python in python3.12 python3.13 python3.11 python3.10 python3; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && break
    done
    echo "== venv-torch: $TORCH"
    "$python" -m venv venv-torch &&
        { venv-torch/bin/pip install -qq --retries 1 --index-url https://download.pytorch.org/whl/cpu "$TORCH" ||
            venv-torch/bin/pip install -q "$TORCH"; } &&
        venv-torch/bin/pip install -q numpy && return
    rm -rf venv-torch
    echo "venv-torch could not be made: rows against PyTorch are left out" >&2
}

case " $* " in
    *" peers "* | *" predict "*) [ -n "${TORCH_PYTHON:-}" ] || [ -x venv-torch/bin/python ] || make_venv_torch ;;
esac

load=$(cut -d' ' -f1 /proc/loadavg)
if [ "$(echo "$load $MOST_LOAD" | awk '{ print ($1 > $2) }')" = 1 ]; then
    echo "the load average is $load: something else is running, or was within the last minutes" >&2
    [ $anyway = yes ] || { echo "error: wait until it is below $MOST_LOAD, or measure with --anyway" >&2; exit 1; }
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
    taskset -c "$CORES" venv/bin/python "benchmarks/$@" --json "$results"
    status=$?
    [ $status = 0 ] || failed+=("$*")
    [ $status != 130 ] || finish 130        # Ctrl-C
}

torch=(--torch-python "${TORCH_PYTHON:-venv-torch/bin/python}")
for part; do
    case $part in
        start)
            measure train_step.py IMDB LLLCCL --cold
            venv/bin/python benchmarks/train_step.py IMDB LLLCCL --steps 1 >/dev/null       # warms the cache
            measure train_step.py IMDB LLLCCL ;;
        steps)
            for words in uniform zipf; do measure train_step.py IMDB LLLCCL --tokens $words; done
            measure train_step.py AGNews LLLCCL
            measure train_step.py Char_PTB LCCL
            measure train_step.py Word_PTB LCCL
            for network in dense-1150 sparse-1725; do measure train_step.py language_modeling $network; done ;;
        sparse) measure sparse_lstm.py ;;
        peers) measure peers.py "${torch[@]}" ;;
        products) measure products.py ;;
        predict) measure predict.py "${torch[@]}" ;;
        scaling) measure scaling.py ;;
    esac
done
finish
