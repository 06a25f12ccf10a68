#!/usr/bin/env bash
# Measures and trains on a machine with an NVIDIA GPU, after ./setup_env.sh --cuda. What is there already is left as it is,
# so the same command goes on where it was interrupted: a file for each network and part in benchmarks/results/gpu-DATE,
# runs in Experiments/*/Results/*-gpu.
#
#     benchmarks/gpu.sh [PART ...]        all parts: check gradients steps peers train; or some of these, or:
#     benchmarks/gpu.sh references        the CPU's half of gradients, on any machine
#     benchmarks/gpu.sh profile           what a step of each network is spent on
#
# PYTHON         the interpreter; venv/bin/python if not set
# TORCH_PYTHON   one with PyTorch for CUDA; venv-torch/bin/python
# RESULTS        the folder of the figures
# PEERS, PUBLISHED   folders of the PyTorch programs and of the published curves; ../shared/peers, ../shared/published
# NETWORKS       what is measured, as NAME:CONFIG
# LIMIT          seconds: afterwards nothing more is begun, and training stops in time and can be resumed
# JOBS           so many networks at the same time in references, gradients and train; 1
# CACHE          a folder for compiled code, with one in it for each network, so that these do not wait for each other
# TRAIN          what is trained; "IMDB:LLLCCL Word_PTB:LCCL"
# IMDB_EPOCHS, WORD_EPOCHS, IMDB_OPTIONS, WORD_OPTIONS   how long, and further options of main.py
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

ALL=(check gradients steps peers train)
PYTHON=${PYTHON:-venv/bin/python}
TORCH_PYTHON=${TORCH_PYTHON:-venv-torch/bin/python}
RESULTS=${RESULTS:-benchmarks/results/gpu-$(date +%F)}
PEERS=${PEERS:-../shared/peers}
PUBLISHED=${PUBLISHED:-../shared/published}
NETWORKS=${NETWORKS:-"IMDB:LLLCCL AGNews:LLLCCL Char_PTB:LCCL Word_PTB:LCCL language_modeling:dense-1150 \
language_modeling:sparse-1725"}
TRAIN=${TRAIN:-"IMDB:LLLCCL Word_PTB:LCCL"}
JOBS=${JOBS:-1}
LIMIT=${LIMIT:-1000000000}
STEPS=30
WARM_UP=6                                   # of gpu_peer.py and the program itself
SAVING=30                                   # seconds for the last checkpoint, the small network and the plots

[ $# = 0 ] && set -- "${ALL[@]}"
for part; do
    case " ${ALL[*]} references profile " in
        *" $part "*) ;;
        *) echo "error: unknown part '$part'; known: ${ALL[*]} references profile" >&2; exit 2 ;;
    esac
done
mkdir -p "$RESULTS"
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
failed=()

# ------------------------------------------------------------------------------------------------------ for all parts

time_is_up() { [ "$SECONDS" -ge "$LIMIT" ]; }

file_of() { echo "$RESULTS/$1-${2/:/-}"; }             # file_of PART NETWORK: without its ending

for_network() {                                         # for_network NETWORK COMMAND...: with the network's cache
    local network=${1/:/-} flags=${THEANO_FLAGS:-} status
    shift
    if [ -n "${CACHE:-}" ]; then
        mkdir -p "$CACHE/$network" "$CACHE/kernels"
        flags="base_compiledir=$CACHE/$network,gpuarray.cache_path=$CACHE/kernels,$flags"
    fi
    THEANO_FLAGS=$flags "$@" </dev/null &
    trap "kill -TERM $!" TERM
    wait $!
    status=$?
    # After a signal it is still busy saving.
    [ $status -le 128 ] || { wait $!; status=$?; }
    return $status
}

declare -A running=()                                   # process to what it does

each() {                                                # each AT_A_TIME FUNCTION NETWORK...
    local at_a_time=$1 function=$2 network pid
    shift 2
    for network; do
        while [ "$(jobs -rp | wc -l)" -ge "$at_a_time" ]; do sleep 0.2; done
        time_is_up && break
        OMP_NUM_THREADS=$((($(nproc) + at_a_time - 1) / at_a_time)) "$function" "$network" &
        running[$!]="$function $network"
    done
    for pid in "${!running[@]}"; do wait "$pid" || failed+=("${running[$pid]}"); done
    running=()
}

stop() {
    local pid
    trap - INT TERM
    for pid in "${!running[@]}"; do kill -TERM "$pid" 2>/dev/null; done
    wait
    exit 130
}
trap stop INT TERM

# -------------------------------------------------------------------------------------------------------------- parts

check() {
    { nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader
      "$PYTHON" -m theano_rnn.runtime.gpu; } 2>&1 | tee "$RESULTS/check.txt"
    [ "${PIPESTATUS[0]}" = 0 ] && return
    echo "error: no part can run on this GPU" >&2
    exit 1
}

reference() {
    local file
    file=$(file_of gradients "$1").npz
    [ -f "$file" ] && return
    for_network "$1" "$PYTHON" benchmarks/gpu_gradients.py ${1/:/ } --device cpu --write "$file"
}

gradients() {
    local file
    file=$(file_of gradients "$1")
    [ -f "$file.json" ] && return
    reference "$1" && for_network "$1" "$PYTHON" benchmarks/gpu_gradients.py ${1/:/ } --device cuda \
        --compare "$file.npz" --json "$file.json"
}

steps() {
    local file
    file=$(file_of steps "$1").json
    [ -f "$file" ] && return
    for_network "$1" "$PYTHON" benchmarks/gpu_step.py ${1/:/ } --device cuda --steps "$STEPS" --json "$file"
}

# The time on the GPU counts: launches return when they are done.
profile() {                                             # always anew
    CUDA_LAUNCH_BLOCKING=1 for_network "$1" "$PYTHON" benchmarks/gpu_step.py ${1/:/ } --device cuda --profile \
        --json "$(file_of profile "$1").json"
}

peers() {
    local file program
    file=$(file_of peers "$1").json
    case $1 in
        IMDB:LLLCCL) program="torch_sparse_vd.py LLLCCL" ;;
        Word_PTB:LCCL) program=torch_word_lm.py ;;
        language_modeling:*) program="torch_awd_lstm.py ${1#*-}" ;;         # of a sparse one: the dense one as wide
        *) return 0 ;;
    esac
    [ -f "$file" ] && return
    for path in "$TORCH_PYTHON" "$PEERS/${program%% *}"; do
        [ -e "$path" ] || { echo "left out: ${program%% *}: there is no $path"; return 0; }
    done
    # shellcheck disable=SC2086
    for_network "$1" "$TORCH_PYTHON" benchmarks/gpu_peer.py --name "${1/:/ }" --json "$file" "$PEERS"/$program $((STEPS + WARM_UP))
}

train() {
    local name=${1%:*} config=${1#*:} curves=$PUBLISHED/published_training_curves.csv
    local epochs options run out left resume=() status file
    case $name in
        IMDB) epochs=${IMDB_EPOCHS:-800} options=${IMDB_OPTIONS:-} ;;
        Word_PTB) epochs=${WORD_EPOCHS:-150} options=${WORD_OPTIONS:-} ;;
        *) epochs=1 options= ;;
    esac
    run=Experiments/$name/Results/$config-gpu
    out=$(file_of train "$1")
    left=$((LIMIT - SECONDS - SAVING))
    [ "$left" -gt 0 ] || { echo "no time is left to train $1"; return 0; }
    [ -f "$run/config.json" ] && resume=(--resume)
    # SIGTERM lets it save where it is, a second one does not: without --foreground, timeout sends two. Its own status is
    # then 124.
    # shellcheck disable=SC2086
    for_network "$1" timeout --foreground "$left" "$PYTHON" "Experiments/$name/main.py" "$config" --device cuda \
        --out "$run" --epochs "$epochs" $options "${resume[@]}"
    status=$?
    for file in log.txt metrics.csv kept_words.txt; do
        [ -f "$run/$file" ] && cp "$run/$file" "$out-$file"
    done
    [ $status = 0 ] || [ $status = 124 ] || return $status
    [ -f "$curves" ] || { echo "left out: the published curves: there is no $curves"; return 0; }
    "$PYTHON" benchmarks/curves.py "$run" "$curves" "$out"
}

# shellcheck disable=SC2086
for part; do
    echo "== $part, after $SECONDS s"
    time_is_up && { echo "the limit of $LIMIT s is reached; the same command goes on"; break; }
    case $part in
        check) check ;;
        references) each "$JOBS" reference $NETWORKS ;;
        gradients) each "$JOBS" gradients $NETWORKS ;;
        steps) each 1 steps $NETWORKS ;;
        peers) each 1 peers $NETWORKS ;;
        profile) each 1 profile $NETWORKS ;;
        train) each "$JOBS" train $TRAIN ;;
    esac
done
"$PYTHON" benchmarks/gpu_report.py "$RESULTS" | tee "$RESULTS/report.md"
[ ${#failed[@]} = 0 ] && exit 0
printf 'failed: %s\n' "${failed[@]}" >&2
exit 1
