#!/usr/bin/env bash
# Runs the benchmarks and training on a machine with an NVIDIA GPU, after ./setup_env.sh --cuda. It writes a file for each
# part and network to benchmarks/results/gpu-DATE, and training runs to Experiments/*/Results/*-gpu. Existing files are
# kept, so the same command continues after an interruption.
#
#     benchmarks/gpu.sh [PART ...]        all parts: check gradients steps peers train; or some of them, or:
#     benchmarks/gpu.sh references        the CPU part of gradients, on any machine
#     benchmarks/gpu.sh profile           the time of each kind of operation in a training step
#
# PYTHON         the interpreter; default venv/bin/python
# PEERS_PYTHON   an interpreter with PyTorch and JAX for CUDA; default venv-peers/bin/python
# RESULTS        the folder of the results
# NETWORKS       the networks to measure, as NAME:CONFIG
# LIMIT          seconds after which nothing is started; training stops in time and can be resumed
# JOBS           number of networks at the same time in references, gradients and train; default 1
# CACHE          a folder for compiled code, with a subfolder for each network so that they do not wait for each other
# TRAIN          the networks to train; default "IMDB:LLLCCL Word_PTB:LCCL"
# IMDB_EPOCHS, WORD_EPOCHS, IMDB_OPTIONS, WORD_OPTIONS   number of epochs, and further options of main.py
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

ALL=(check gradients steps peers train)
PYTHON=${PYTHON:-venv/bin/python}
PEERS_PYTHON=${PEERS_PYTHON:-venv-peers/bin/python}
RESULTS=${RESULTS:-benchmarks/results/gpu-$(date +%F)}
NETWORKS=${NETWORKS:-"IMDB:LLLCCL AGNews:LLLCCL Char_PTB:LCCL Word_PTB:LCCL language_modeling:dense-1150 \
language_modeling:sparse-1725"}
TRAIN=${TRAIN:-"IMDB:LLLCCL Word_PTB:LCCL"}
JOBS=${JOBS:-1}
LIMIT=${LIMIT:-1000000000}
STEPS=30
SAVING=30                                   # seconds for the last checkpoint, the compressed network and the plots

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

file_of() { echo "$RESULTS/$1-${2/:/-}"; }             # file_of PART NETWORK: without the suffix

for_network() {                                         # for_network NETWORK COMMAND...: with the cache of the network
    local network=${1/:/-} flags=${THEANO_FLAGS:-} status
    shift
    if [ -n "${CACHE:-}" ]; then
        mkdir -p "$CACHE/$network" "$CACHE/kernels"
        flags="base_compiledir=$CACHE/$network,gpuarray.cache_path=$CACHE/kernels,$flags"
    fi
    local stopped=
    trap 'stopped=yes' TERM                             # a signal before the next trap is set
    THEANO_FLAGS=$flags "$@" </dev/null &
    trap "kill -TERM $!" TERM
    [ -z "$stopped" ] || kill -TERM $!
    wait $!
    status=$?
    # After a signal, the command still saves its state.
    [ $status -le 128 ] || { wait $!; status=$?; }
    return $status
}

declare -A running=()                                   # process to its description

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
    echo "error: the benchmarks cannot run on this GPU" >&2
    exit 1
}

reference() {
    local file
    file=$(file_of gradients "$1").npz
    [ -f "$file" ] && return
    for_network "$1" "$PYTHON" benchmarks/gradients_against_cpu.py ${1/:/ } --device cpu --write "$file"
}

gradients() {
    local file
    file=$(file_of gradients "$1")
    [ -f "$file.json" ] && return
    reference "$1" && for_network "$1" "$PYTHON" benchmarks/gradients_against_cpu.py ${1/:/ } --device cuda \
        --compare "$file.npz" --json "$file.json"
}

steps() {
    local file
    file=$(file_of steps "$1").json
    [ -f "$file" ] && return
    for_network "$1" "$PYTHON" benchmarks/training_step.py ${1/:/ } --device cuda --steps "$STEPS" --json "$file"
}

# With blocking launches, the time of an operation includes its time on the GPU.
profile() {                                             # overwrites earlier results
    CUDA_LAUNCH_BLOCKING=1 for_network "$1" "$PYTHON" benchmarks/training_step.py ${1/:/ } --device cuda --profile \
        --json "$(file_of profile "$1").json"
}

peers() {                                               # once for all networks of a NAME
    local group=${1%:*} file
    file=$RESULTS/peers-$group.json
    case $group in IMDB | Word_PTB | language_modeling) ;; *) return 0 ;; esac
    [ -f "$file" ] && return
    [ -x "$PEERS_PYTHON" ] || { echo "left out: the peers of $group: $PEERS_PYTHON does not exist"; return 0; }
    for_network "$1" "$PYTHON" benchmarks/compare_with_peers.py "$group" --device cuda --rounds 3 --steps $((STEPS / 3)) \
        --peers-python "$PEERS_PYTHON" --json "$file"
}

train() {
    local name=${1%:*} config=${1#*:}
    local epochs options run out left resume=() status file
    case $name in
        IMDB) epochs=${IMDB_EPOCHS:-800} options=${IMDB_OPTIONS:-} ;;
        Word_PTB) epochs=${WORD_EPOCHS:-150} options=${WORD_OPTIONS:-} ;;
        *) epochs=1 options= ;;
    esac
    run=Experiments/$name/Results/$config-gpu
    out=$(file_of train "$1")
    left=$((LIMIT - SECONDS - SAVING))
    [ "$left" -gt 0 ] || { echo "no time left to train $1"; return 0; }
    [ -f "$run/config.json" ] && resume=(--resume)
    # After SIGTERM main.py saves a checkpoint. Without --foreground, timeout would send the signal to the compilers that
    # main.py has started, too. The exit status after the time limit is 124.
    # shellcheck disable=SC2086
    for_network "$1" timeout --foreground "$left" "$PYTHON" "Experiments/$name/main.py" "$config" --device cuda \
        --out "$run" --epochs "$epochs" $options "${resume[@]}"
    status=$?
    for file in log.txt metrics.csv kept_words.txt; do
        [ -f "$run/$file" ] && cp "$run/$file" "$out-$file"
    done
    [ $status = 0 ] || [ $status = 124 ] || return $status
    "$PYTHON" Experiments/plot_runs.py "$run" --table --out "$out-curves.png"
}

# shellcheck disable=SC2086
for part; do
    echo "== $part, after $SECONDS s"
    time_is_up && { echo "the limit of $LIMIT s is reached; the same command continues"; break; }
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
"$PYTHON" benchmarks/report.py "$RESULTS" | tee "$RESULTS/report.md"
[ ${#failed[@]} = 0 ] && exit 0
printf 'failed: %s\n' "${failed[@]}" >&2
exit 1
