#!/usr/bin/env bash
# Makes the virtualenv that everything here runs in; `./setup_env.sh --help` says how. Written for bash 4 on Linux.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
DEFAULT_THEANO=1.0.5

# Theano and Lasagne come as source, so pip is pinned too: 24.0 is the last that builds such old packages without
# complaint, and 21.3.1 is the last for CPython 3.6. The digests are those of the wheels on PyPI.
PIP_FOR_36="pip==21.3.1 --hash=sha256:deaf32dcd9ab821e359cd8330786bcd077604b5c5730c0b096eda46f95c24a2d"
PIP="pip==24.0 --hash=sha256:ba0d021a166865d2265246961bec0152ff124de910c5cc39f1156ce3fa7c69dc"

usage() {
    cat <<EOT
usage: ./setup_env.sh [--theano VERSION] [--python PATH] [--venv DIR] [--cuda [VERSION] [--cublas] [--ptxas]]
                      [--check | --find]

Makes a virtualenv with the pinned, hash-locked requirements and the project itself. Where it stands complete, says so
and ends, without a network; a half-made or outdated one is made anew.

  --theano VERSION  $(known_theanos | sed 's/,/ or/'): the first makes venv/, another makes venv-theano-VERSION/
  --python PATH     this interpreter, instead of the best one found (CPython 3.9, else 3.8, 3.10, 3.11; 3.6 for 0.9.0)
  --venv DIR        make it in DIR instead
  --check           change nothing: say what is there; the exit status is 0 if the virtualenv is complete
  --find            change nothing: print the interpreter that would be used; the exit status is 2 if there is none
  --cuda [VERSION]  add what NVIDIA GPUs need, from CUDA $CUDAS ($DEFAULT_CUDA, which drivers since 530 know);
                    wants CPython 3.9 on x86-64, and on the GPU's machine only the driver
  --cublas          with --cuda: take cuBLAS (400 to 600 MB) even where no driver is; otherwise it comes where one is
                    and the system has no cuBLAS of that version
  --ptxas           with --cuda: take ptxas too (20 MB), which checks kernels without a GPU: pytest -m cuda

Exit status: 0 done, 1 the virtualenv could not be made, 2 wrong usage or something is missing on this machine.
EOT
}

say()  { printf '%s\n' "$*"; }
warn() { printf 'setup_env.sh: %s\n' "$*" >&2; }
die()  { warn "$2"; exit "$1"; }           # die STATUS MESSAGE

# shellcheck source=setup_cuda.sh
. "$HERE/setup_cuda.sh"

# ---------------------------------------------------------------------------------------------------- command line

known_theanos() {
    local file known=$DEFAULT_THEANO
    for file in "$HERE"/requirements-theano-*.txt; do
        [ -e "$file" ] || continue
        file=${file##*/requirements-theano-}
        known+=", ${file%.txt}"
    done
    say "$known"
}

parse_arguments() {
    THEANO=$DEFAULT_THEANO PYTHON='' VENV='' MODE=make CUDA='' CUBLAS='' PTXAS=''
    while [ $# -gt 0 ]; do
        case $1 in
            --theano | --python | --venv)
                [ $# -ge 2 ] && [ -n "$2" ] || die 2 "$1 needs a value"
                case $1 in
                    --theano) THEANO=$2 ;;
                    --python) PYTHON=$2 ;;
                    --venv) VENV=$2 ;;
                esac
                shift ;;
            --theano=* | --python=* | --venv=* | --cuda=*) set -- "$1" "${1%%=*}" "${1#*=}" "${@:2}" ;;
            --check) MODE="check" ;;
            --find) MODE="find" ;;
            --cuda)
                CUDA=$DEFAULT_CUDA
                case ${2-} in
                    11 | 12 | 13) CUDA=$2; shift ;;
                    '' | --*) ;;
                    *) die 2 "no CUDA '$2'; --cuda takes $CUDAS, or nothing, which means $DEFAULT_CUDA" ;;
                esac ;;
            --cublas) CUBLAS=yes ;;
            --ptxas) PTXAS=yes ;;
            -h | --help) usage; exit 0 ;;
            *) die 2 "unknown argument '$1' (./setup_env.sh --help lists the known ones)" ;;
        esac
        shift
    done
    [ -n "$CUDA" ] || [ -z "$CUBLAS$PTXAS" ] || die 2 "--cublas and --ptxas go with --cuda"
}

settle_paths() {
    if [ "$THEANO" = "$DEFAULT_THEANO" ]; then
        LOCK=$HERE/requirements.txt NAME=venv
        WANTED=(3.9 3.8 3.10 3.11)          # best first
    else
        LOCK=$HERE/requirements-theano-$THEANO.txt NAME=venv-theano-$THEANO
        WANTED=(3.6)
    fi
    [ -f "$LOCK" ] || die 2 "no requirements for Theano '$THEANO'; the known releases are $(known_theanos)"
    VENV=${VENV:-$HERE/$NAME}
    case $VENV in /*) ;; *) VENV=$PWD/$VENV ;; esac
    STAMP=$VENV/.complete                   # written last: what it holds must equal `fingerprint`
    MARK=$VENV/.made-by-setup_env           # written first: such a folder may be emptied and made anew
    LOG=$VENV/setup.log
    [ -z "$CUDA" ] || settle_cuda
}

# ------------------------------------------------------------------------------------------- is it there already?

fingerprint() {                             # fingerprint PYTHON-VERSION
    say "$VENV made for $HERE"
    say "CPython $1"
    cat "$LOCK" "$HERE/setup.py" | sha256sum | cut -d' ' -f1
    say "$PIP $PIP_FOR_36" | sha256sum | cut -d' ' -f1
}

version_of() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null </dev/null; }

is_complete() {
    local version
    [ -f "$STAMP" ] || return 1
    version=$(version_of "$VENV/bin/python") || return 1
    [ "$(cat "$STAMP")" = "$(fingerprint "$version")" ] || return 1
    [ -z "$PYTHON" ] || [ "$(version_of "$PYTHON")" = "$version" ]
}

state() {
    if is_complete; then say "complete, CPython $(version_of "$VENV/bin/python")"
    elif [ -f "$STAMP" ]; then say "outdated (requirements, setup.py, place or interpreter changed since)"
    elif [ -e "$VENV/pyvenv.cfg" ] || [ -e "$MARK" ]; then say "half-made"
    elif [ -n "$(ls -A "$VENV" 2>/dev/null)" ]; then say "not a virtualenv"
    else say "not made yet"
    fi
}

# ------------------------------------------------------------------------------------------------- the interpreter

# What a candidate says about itself: implementation, version, whether it has venv and headers, its true path. Inside a
# virtualenv that is the interpreter it was made from. Must run on any Python, even 2.7.
PROBE='
import os, platform, sys, sysconfig
base, path = getattr(sys, "base_prefix", sys.prefix), sys.executable
if base != sys.prefix:
    path = os.path.join(base, "bin", "python%d.%d" % sys.version_info[:2])
try:
    import ensurepip, venv
    has_venv = "venv"
except ImportError:
    has_venv = "-"
headers = os.path.join(sysconfig.get_paths()["include"], "Python.h")
print(" ".join([platform.python_implementation(), platform.python_version(), has_venv,
                "headers" if os.path.exists(headers) else "-", path]))
'

# Where Theano looks for the headers and the library of the interpreter that it runs in.
LINK_FLAGS='
import sysconfig
name = sysconfig.get_config_var("LDLIBRARY").rpartition(".")[0]
print("\n".join(["-I" + sysconfig.get_paths()["include"], "-L" + sysconfig.get_config_var("LIBDIR"), "-l" + name[3:]]))
'

find_uv() {
    local uv
    for uv in uv "$HOME/.local/bin/uv" "$HOME/.cargo/bin/uv"; do
        command -v "$uv" && return 0
    done
    return 1
}

candidates() {                              # every path where a suitable interpreter may be, most obvious first
    local version name uv prefix
    for version in "${WANTED[@]}"; do type -aP "python$version" || true; done
    for name in python3 python; do type -aP "$name" || true; done
    for version in "${WANTED[@]}"; do
        compgen -G "${PYENV_ROOT:-$HOME/.pyenv}/versions/*/bin/python$version" || true
    done
    for prefix in "$HOME"/{miniconda3,anaconda3,miniforge3,mambaforge} /opt/{conda,miniconda3,anaconda3}; do
        compgen -G "$prefix/bin/python" || true
        compgen -G "$prefix/envs/*/bin/python" || true
    done
    if command -v conda >/dev/null; then
        timeout 20 conda env list 2>/dev/null </dev/null | awk '$NF ~ /^\// {print $NF "/bin/python"}' || true
    fi
    if uv=$(find_uv); then                  # only its own ones: the others have been listed above
        for version in "${WANTED[@]}"; do
            UV_PYTHON_PREFERENCE=only-managed UV_PYTHON_DOWNLOADS=never "$uv" python find "$version" 2>/dev/null || true
        done
    fi
}

refuse() { REFUSED+="    $1: $2"$'\n'; }

# Sets FOUND and FOUND_RANK if the interpreter serves (0 is the best version), else notes in REFUSED why not.
examine() {
    local command=$1 answer implementation version has_venv headers path rank file
    file=$(readlink -f "$command") || true
    case $SEEN in *"|$file|"*) return 1 ;; esac
    SEEN+="|$file|"
    if ! answer=$(timeout 20 "$command" -c "$PROBE" 2>&1 </dev/null); then
        answer=$(head -n 1 <<<"$answer")
        refuse "$command" "does not run${answer:+ ($answer)}"
        return 1
    fi
    read -r implementation version has_venv headers path <<<"$(tail -n 1 <<<"$answer")"
    if [ "$(readlink -f "$path")" != "$file" ]; then           # a shim of pyenv's, or inside a virtualenv
        case $SEEN in *"|$(readlink -f "$path")|"*) return 1 ;; esac
        SEEN+="|$(readlink -f "$path")|"
    fi
    [ "$path" = "$command" ] || command="$path (as $command)"
    if [ "$implementation" != CPython ]; then refuse "$command" "is $implementation, not CPython"; return 1; fi
    for rank in "${!WANTED[@]}"; do
        [ "${version%.*}" = "${WANTED[rank]}" ] && break
        rank=none
    done
    if [ $rank = none ]; then
        refuse "$command" "is CPython $version"
    elif [ "$has_venv" != venv ]; then
        refuse "$command" "is CPython $version, but without venv and ensurepip (Debian: python${version%.*}-venv)"
    elif [ "$headers" != headers ]; then
        refuse "$command" "is CPython $version, but without Python.h (Debian: python${version%.*}-dev)"
    elif ! links_with "$path"; then
        refuse "$command" "is CPython $version, but a shared object does not link against it, as Theano's must \
(pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)"
    else
        FOUND=$path FOUND_VERSION=$version FOUND_RANK=$rank
        return 0
    fi
    return 1
}

links_with() {
    local flags
    command -v g++ >/dev/null || return 0   # then there is nothing to try it with, and that is said on its own
    mapfile -t flags < <("$1" -c "$LINK_FLAGS" 2>/dev/null)
    compiles '#include <Python.h>
              PyObject *f() { return PyLong_FromLong(1); }' -shared -fPIC "${flags[@]}"
}

find_interpreter() {                        # the best of all; sets FOUND
    local best='' best_version='' best_rank=99 candidate
    FOUND='' FOUND_VERSION='' REFUSED='' SEEN=''
    if [ -n "$PYTHON" ]; then examine "$PYTHON"; return; fi
    while IFS= read -r candidate; do
        if examine "$candidate" && [ "$FOUND_RANK" -lt "$best_rank" ]; then
            best=$FOUND best_version=$FOUND_VERSION best_rank=$FOUND_RANK
            [ "$best_rank" -gt 0 ] || break
        fi
    done < <(candidates)
    FOUND=$best FOUND_VERSION=$best_version
    [ -n "$FOUND" ]
}

find_or_install_interpreter() {
    find_interpreter && return
    [ -z "$PYTHON" ] || no_interpreter
    if interpreter_from_uv && find_interpreter; then return; fi
    if interpreter_from_apt && find_interpreter; then return; fi
    no_interpreter
}

interpreter_from_uv() {
    local uv
    uv=$(find_uv) && [ "${WANTED[0]}" != 3.6 ] || return 1     # uv has no 3.6
    say "found no suitable CPython: uv python install ${WANTED[0]}"
    timeout 600 "$uv" python install "${WANTED[0]}" </dev/null
}

interpreter_from_apt() {                    # Debian 11, 12, Ubuntu 20.04, 22.04 have one; or its headers are missing
    local version
    for version in "${WANTED[@]}"; do
        apt-cache show "python$version-venv" >/dev/null 2>&1 || continue
        apt_install "python$version" "python$version-venv" "python$version-dev"
        return
    done
    return 1
}

no_interpreter() {
    local first=${WANTED[0]} versions=${WANTED[*]}
    {
        if [ -n "$PYTHON" ]; then warn "--python $PYTHON does not serve Theano $THEANO (CPython ${versions// / or }):"
        else warn "found no CPython ${versions// / or } for Theano $THEANO. Looked at:"
        fi
        printf '%s' "${REFUSED:-    nothing that is called python on PATH, in pyenv, conda or uv$'\n'}"
        say "Any one of these brings one; then run ./setup_env.sh again:"
        case $first in
            3.6) ;;
            *) [ -n "$CUDA" ] ||
               say "    Debian 12:       apt-get install python3.11 python3.11-venv python3.11-dev"
               say "    Debian 11:       apt-get install python3.9 python3.9-venv python3.9-dev"
               [ -n "$CUDA" ] ||
               say "    Ubuntu 22.04:    apt-get install python3.10 python3.10-venv python3.10-dev"
               say "    uv:              curl -LsSf https://astral.sh/uv/install.sh | sh && uv python install $first" ;;
        esac
        say "    pyenv:           PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install $first"
        say "    conda:           conda create -n python$first python=$first"
        say "    or an interpreter of your own, with its headers: ./setup_env.sh --python PATH"
    } >&2
    exit 2
}

# ----------------------------------------------------------------------------------------------- system libraries

compiles() {                                # compiles SOURCE FLAG...: does g++ make something of it?
    g++ -x c++ - -o "$SCRATCH/compiled" "${@:2}" <<<"$1" >/dev/null 2>&1
}

has_compiler() { command -v g++ >/dev/null && compiles 'int main() { return 0; }'; }
has_openblas() { compiles 'extern "C" void sgemm_(); int main() { sgemm_(); }' -lopenblas; }

apt_install() {                             # as root, or with sudo if it may be asked; 1 if it cannot be done
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get) by_hand="apt-get install $*"
    command -v apt-get >/dev/null || { warn "no apt-get here: install what Debian calls $* by other means"; return 1; }
    if [ "$(id -u)" != 0 ]; then
        by_hand="sudo $by_hand"
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then apt=(sudo -n "${apt[@]}")
        elif command -v sudo >/dev/null && [ -t 0 ]; then apt=(sudo "${apt[@]}")
        else warn "no right to install packages; ask somebody who may for: apt-get install $*"; return 1
        fi
    fi
    say "installing $* ($by_hand)"
    if "${apt[@]}" install -y -qq --no-install-recommends "$@" </dev/null >"$SCRATCH/apt.log" 2>&1; then return; fi
    "${apt[@]}" update -qq </dev/null >"$SCRATCH/apt.log" 2>&1 || true      # a fresh machine has no lists yet
    if "${apt[@]}" install -y -qq --no-install-recommends "$@" </dev/null >>"$SCRATCH/apt.log" 2>&1; then return; fi
    tail -n 5 "$SCRATCH/apt.log" >&2
    warn "this failed: $by_hand"
    return 1
}

provide_libraries() {
    local missing=()
    has_compiler || missing+=(g++)
    [ ${#missing[@]} = 0 ] && has_openblas || missing+=(libopenblas-dev)
    [ ${#missing[@]} = 0 ] && return
    apt_install "${missing[@]}" || true
    has_compiler || die 2 "no working g++: Theano compiles everything with it. Install g++, then run this again"
    has_openblas || warn "goes on without OpenBLAS (libopenblas-dev): Theano takes numpy's BLAS, about 4 times slower"
}

# ---------------------------------------------------------------------------------------------- making the virtualenv

take_lock() {                               # on the folder itself, so that no file is left behind
    local status=0
    mkdir -p "$VENV"
    command -v flock >/dev/null || return 0
    exec 9<"$VENV"
    flock -n -E 75 9 2>/dev/null || status=$?           # another status: a file system without locks
    [ $status != 75 ] || die 2 "another setup_env.sh is at work on $VENV"
}

clear_venv() {
    if [ ! -e "$VENV/pyvenv.cfg" ] && [ ! -e "$MARK" ] && [ -n "$(ls -A "$VENV")" ]; then
        die 2 "$VENV is not empty and not a virtualenv: nothing done"
    fi
    rm -f "$STAMP"
    touch "$MARK"
    find "$VENV" -mindepth 1 ! -path "$MARK" -delete
}

stage() {                                   # stage TITLE COMMAND...: one line, with the seconds; the noise goes to LOG
    local title=$1 start=$SECONDS
    STAGE=$((STAGE + 1))
    printf '[%d/%d] %s ... ' "$STAGE" "$STAGES" "$title"
    shift
    printf '\n==== %s\n' "$title" >>"$LOG"
    if ! "$@" >>"$LOG" 2>&1 </dev/null; then
        say "failed"
        awk '/^==== / {text = ""; next} !/^(WARNING|Looking in)/ {text = text "    " $0 "\n"} END {printf "%s", text}' \
            "$LOG" | tail -n 15 >&2
        die 1 "'$title' failed; all of its output: $LOG"
    fi
    say "$((SECONDS - start)) s"
}

pip_install() { "$VENV/bin/python" -m pip install --no-input --disable-pip-version-check "$@"; }

make_empty() {
    "$FOUND" -m venv "$VENV"
    case $FOUND_VERSION in 3.6.*) say "$PIP_FOR_36" ;; *) say "$PIP" ;; esac >"$SCRATCH/pip.txt"
    pip_install --require-hashes --no-deps -r "$SCRATCH/pip.txt"
}

install_build_tools() {                     # their entries in the lock: a first line and its indented digests
    awk '/^[^ ]/ {take = /^(setuptools|wheel)==/} take' "$LOCK" >"$SCRATCH/build.txt"
    pip_install --require-hashes --no-deps -r "$SCRATCH/build.txt"
}

install_packages() { pip_install --require-hashes --no-deps --no-build-isolation -r "$LOCK"; }
install_project()  { pip_install --no-index --no-deps --no-build-isolation -e "$HERE"; }

self_test() {                               # from another folder, so that the installed project is what is tried
    cd "$SCRATCH" && "$VENV/bin/python" "$SCRATCH/self_test.py"
}

write_self_test() {
    cat >"$SCRATCH/self_test.py" <<'EOT'
import os
import platform

from theano_rnn.runtime import configuration

configuration.configure()
import numpy as np
import theano
import theano.tensor as T

from theano_rnn.lasagne_compat import lasagne

values = np.random.RandomState(1).randn(5, 3).astype("float32")
network = lasagne.layers.DenseLayer(lasagne.layers.InputLayer((None, 3)), 4, nonlinearity=lasagne.nonlinearities.tanh)
inputs = T.matrix(dtype="float32")
once = theano.function([inputs], lasagne.layers.get_output(network, inputs))
expected = np.tanh(values.dot(network.W.get_value()))
assert np.allclose(once(values), expected, atol=1e-5), "a dense layer computes something wrong"

sums, _ = theano.scan(lambda x, total: T.tanh(total + x), sequences=inputs, outputs_info=T.zeros((3,), "float32"))
gradient = theano.function([inputs], T.grad(sums[-1].sum(), inputs))(values)
assert gradient.shape == (5, 3) and np.isfinite(gradient).all() and gradient[0].any(), "theano.scan computes nonsense"

blas = theano.config.blas.ldflags or "numpy's own (slow)"
print("Theano %s, Lasagne %s, numpy %s, CPython %s; BLAS: %s; threads: %s" % (
    theano.__version__, lasagne.__version__, np.__version__, platform.python_version(), blas,
    os.environ.get("OMP_NUM_THREADS")))
EOT
}

make_venv() {
    STAGE=0 STAGES=5
    write_self_test
    if [ -e "$VENV/cuda" ] && [ -z "$CUDA" ]; then
        warn "the CUDA back-end goes with the old virtualenv; ./setup_env.sh --cuda adds it to the new one"
    fi
    clear_venv
    say "making $VENV with $FOUND (CPython $FOUND_VERSION)"
    stage "an empty virtualenv with pinned pip" make_empty
    stage "setuptools and wheel" install_build_tools
    stage "Theano $THEANO and the other locked packages" install_packages
    stage "the project, editable" install_project
    stage "self-test: import, compile, compute" self_test
    tail -n 1 "$LOG"
    fingerprint "$FOUND_VERSION" >"$STAMP.new"
    mv "$STAMP.new" "$STAMP"
    say "$VENV is complete ($SECONDS s)"
}

# ------------------------------------------------------------------------------------------------------------- main

check() {
    say "virtualenv:   $VENV: $(state)"
    if find_interpreter; then say "interpreter:  $FOUND (CPython $FOUND_VERSION)"
    else say "interpreter:  none for Theano $THEANO"; printf '%s' "$REFUSED"
    fi
    if has_compiler; then say "g++:          $(g++ -dumpfullversion)"; else say "g++:          missing"; fi
    if has_openblas; then say "OpenBLAS:     links"; else say "OpenBLAS:     missing (libopenblas-dev)"; fi
    if [ -n "$CUDA" ]; then say "CUDA:         $CUDA_HOME: $(cuda_state)"; fi
    is_complete && { [ -z "$CUDA" ] || cuda_is_complete; }
}

main() {
    parse_arguments "$@"
    settle_paths
    unset PYTHONPATH PYTHONHOME
    export HOME=${HOME:-/} PYTHONNOUSERSITE=1 PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0
    local complete=''
    if [ $MODE = make ] && is_complete; then
        complete=yes
        [ -z "$CUDA" ] || refuse_other_python
    fi
    if [ -n "$complete" ] && { [ -z "$CUDA" ] || cuda_is_complete; }; then
        say "$VENV is complete (CPython $(version_of "$VENV/bin/python"), Theano $THEANO${CUDA:+, CUDA $CUDA}):" \
            "nothing to do"
        exit 0
    fi
    SCRATCH=$(mktemp -d)
    trap 'rm -rf "$SCRATCH"; rmdir "$VENV" 2>/dev/null || true' EXIT
    case $MODE in
        check) check || exit 1 ;;
        find) find_interpreter || no_interpreter; say "$FOUND" ;;
        make)
            take_lock
            provide_libraries
            if [ -z "$complete" ]; then find_or_install_interpreter; make_venv; fi
            [ -z "$CUDA" ] || add_cuda ;;
    esac
}

main "$@"
