#!/usr/bin/env bash
# Create the virtualenv of this project. `./setup_env.sh --help` explains the options. Needs bash 4 and Linux.
set -euo pipefail

HERE=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
DEFAULT_THEANO=1.0.5

# pip is pinned because it builds Theano and Lasagne from source: 24.0 is the last release that builds such old packages
# without warnings, and 21.3.1 is the last release for CPython 3.6. The digests are those of the wheels on PyPI.
PIP_FOR_36="pip==21.3.1 --hash=sha256:deaf32dcd9ab821e359cd8330786bcd077604b5c5730c0b096eda46f95c24a2d"
PIP="pip==24.0 --hash=sha256:ba0d021a166865d2265246961bec0152ff124de910c5cc39f1156ce3fa7c69dc"

usage() {
    cat <<EOT
usage: ./setup_env.sh [--theano VERSION] [--python PATH] [--venv DIR] [--cuda [VERSION] [--cublas] [--ptxas]]
                      [--check | --find]

Create a virtualenv with the pinned, hash-locked requirements and the project itself. If the virtualenv is complete,
the script reports it and exits, without network access. It recreates an incomplete or outdated virtualenv.

  --theano VERSION  $(known_theanos | sed 's/,/ or/'): the first goes to venv/, another one to venv-theano-VERSION/
  --python PATH     use this interpreter, not the best one found (CPython 3.9, else 3.8, 3.10, 3.11; 3.6 for 0.9.0)
  --venv DIR        create the virtualenv in DIR
  --check           change nothing: report the state; the exit status is 0 if the virtualenv is complete
  --find            change nothing: print the interpreter that would be used; the exit status is 2 if there is none
  --cuda [VERSION]  add the back-end for NVIDIA GPUs: CUDA $CUDAS (default: $DEFAULT_CUDA, for drivers since 530);
                    needs CPython 3.9 on x86-64; the machine with the GPU needs only the driver
  --cublas          with --cuda: install cuBLAS (400 to 600 MB) even if there is no driver; by default it is installed
                    if there is a driver and the system has no cuBLAS of that version
  --ptxas           with --cuda: also install ptxas (40 MB), which checks kernels without a GPU: pytest -m cuda

Exit status: 0 success, 1 the virtualenv could not be created, 2 wrong usage or something is missing on this machine.
EOT
}

say()  { printf '%s\n' "$*"; }
warn() { printf 'setup_env.sh: %s\n' "$*" >&2; }
die()  { warn "$2"; exit "$1"; }           # die STATUS MESSAGE

# shellcheck source=environment/cuda.sh
. "$HERE/environment/cuda.sh"

# ---------------------------------------------------------------------------------------------------- command line

known_theanos() {
    local file known=$DEFAULT_THEANO
    for file in "$HERE"/requirements/theano-*.txt; do
        file=${file##*/theano-}
        [ "$file" = "$DEFAULT_THEANO.txt" ] || known+=", ${file%.txt}"
    done
    say "$known"
}

parse_arguments() {
    THEANO=$DEFAULT_THEANO PYTHON='' VENV='' MODE=create CUDA='' CUBLAS='' PTXAS=''
    while [ $# -gt 0 ]; do
        case $1 in
            --theano | --python | --venv)
                [ -n "${2-}" ] || die 2 "$1 needs a value"
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
                    *) die 2 "--cuda must be $CUDAS (default: $DEFAULT_CUDA), got '$2'" ;;
                esac ;;
            --cublas) CUBLAS=yes ;;
            --ptxas) PTXAS=yes ;;
            -h | --help) usage; exit 0 ;;
            *) die 2 "unknown argument '$1' (./setup_env.sh --help lists the valid ones)" ;;
        esac
        shift
    done
    [ -n "$CUDA" ] || [ -z "$CUBLAS$PTXAS" ] || die 2 "--cublas and --ptxas need --cuda"
}

resolve_paths() {
    LOCK=$HERE/requirements/theano-$THEANO.txt
    if [ "$THEANO" = "$DEFAULT_THEANO" ]; then
        NAME=venv WANTED=(3.9 3.8 3.10 3.11)                # best first
    else
        NAME=venv-theano-$THEANO WANTED=(3.6)
    fi
    [ -f "$LOCK" ] || die 2 "--theano must be $(known_theanos | sed 's/,/ or/'), got '$THEANO'"
    VENV=${VENV:-$HERE/$NAME}
    VENV=$(readlink -m -- "$VENV")          # one name for each folder: it is part of the fingerprint
    STAMP=$VENV/.complete                   # written last: its content must equal `fingerprint`
    MARK=$VENV/.made-by-setup_env           # written first: a folder with this file may be emptied
    LOG=$VENV/setup.log
    [ -z "$CUDA" ] || resolve_cuda_paths
}

# ------------------------------------------------------------------------------------------- is it complete already?

fingerprint() {                             # fingerprint PYTHON-VERSION
    say "$VENV made for $HERE"
    say "CPython $1"
    cat "$LOCK" "$HERE/setup.py" | sha256sum | cut -d' ' -f1
    say "$PIP $PIP_FOR_36" | sha256sum | cut -d' ' -f1
}

probe() { "$1" "$HERE/environment/probe_interpreter.py" </dev/null; }
version_of() { probe "$1" 2>/dev/null | cut -d' ' -f2; }

is_complete() {
    local version
    [ -f "$STAMP" ] || return 1
    version=$(version_of "$VENV/bin/python") || return 1
    [ "$(cat "$STAMP")" = "$(fingerprint "$version")" ] || return 1
    [ -z "$PYTHON" ] || [ "$(version_of "$PYTHON")" = "$version" ]
}

state() {
    if is_complete; then say "complete, CPython $(version_of "$VENV/bin/python")"
    elif [ -f "$STAMP" ]; then say "outdated (requirements, setup.py, folder or interpreter have changed)"
    elif [ -e "$VENV/pyvenv.cfg" ] || [ -e "$MARK" ]; then say "incomplete"
    elif [ -n "$(ls -A "$VENV" 2>/dev/null)" ]; then say "not a virtualenv"
    else say "does not exist"
    fi
}

# ------------------------------------------------------------------------------------------------- the interpreter

find_uv() {
    local uv
    for uv in uv "$HOME/.local/bin/uv" "$HOME/.cargo/bin/uv"; do
        command -v "$uv" && return 0
    done
    return 1
}

candidates() {                              # print every path where a suitable interpreter may be, likely ones first
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
    if uv=$(find_uv); then                  # only those that uv manages: the others are listed above
        for version in "${WANTED[@]}"; do
            UV_PYTHON_PREFERENCE=only-managed UV_PYTHON_DOWNLOADS=never "$uv" python find "$version" 2>/dev/null || true
        done
    fi
}

refuse() { REFUSED+="    $1: $2"$'\n'; }

# Set FOUND and FOUND_RANK (0 is the best version) if the interpreter is suitable. Otherwise add the reason to REFUSED.
examine() {
    local command=$1 answer implementation version has_venv headers path rank file
    file=$(readlink -f "$command") || true
    case $SEEN in *"|$file|"*) return 1 ;; esac
    SEEN+="|$file|"
    if ! answer=$(timeout 20 "$command" "$HERE/environment/probe_interpreter.py" 2>&1 </dev/null); then
        answer=$(head -n 1 <<<"$answer")
        refuse "$command" "does not run${answer:+ ($answer)}"
        return 1
    fi
    read -r implementation version has_venv headers path <<<"$(tail -n 1 <<<"$answer")"
    if [ "$(readlink -f "$path")" != "$file" ]; then           # a shim of pyenv, or in a virtualenv
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
        refuse "$command" "is CPython $version, but g++ cannot link a shared object with it, as Theano does \
(pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)"
    else
        FOUND=$path FOUND_VERSION=$version FOUND_RANK=$rank
        return 0
    fi
    return 1
}

links_with() {
    local flags
    command -v g++ >/dev/null || return 0   # cannot be tested; provide_libraries reports a missing g++
    mapfile -t flags < <("$1" "$HERE/environment/link_flags.py" 2>/dev/null)
    compiles '#include <Python.h>
              PyObject *f() { return PyLong_FromLong(1); }' -shared -fPIC "${flags[@]}"
}

find_interpreter() {                        # set FOUND to the best one
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
    uv=$(find_uv) && [ "${WANTED[0]}" != 3.6 ] || return 1     # uv has no CPython 3.6
    say "found no suitable CPython: uv python install ${WANTED[0]}"
    timeout 600 "$uv" python install "${WANTED[0]}" </dev/null
}

interpreter_from_apt() {                    # for Debian 11 and 12, Ubuntu 20.04 and 22.04; also adds missing headers
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
        if [ -n "$PYTHON" ]; then
            warn "--python $PYTHON is not suitable for Theano $THEANO (CPython ${versions// / or }):"
        else
            warn "found no CPython ${versions// / or } for Theano $THEANO. Rejected:"
        fi
        printf '%s' "${REFUSED:-    nothing: no interpreter on PATH, in pyenv, conda or uv$'\n'}"
        say "Install one in one of these ways, then run ./setup_env.sh again:"
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
        say "    or use your own interpreter, with its headers: ./setup_env.sh --python PATH"
    } >&2
    exit 2
}

# ----------------------------------------------------------------------------------------------- system libraries

compiles() {                                # compiles SOURCE FLAG...: whether g++ compiles and links the source
    g++ -x c++ - -o "$SCRATCH/compiled" "${@:2}" <<<"$1" >/dev/null 2>&1
}

has_compiler() { command -v g++ >/dev/null && compiles 'int main() { return 0; }'; }
has_openblas() { compiles 'extern "C" void sgemm_(); int main() { sgemm_(); }' -lopenblas; }

apt_install() {                             # as root or with sudo; the status is 1 if that is not possible
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get) by_hand="apt-get install $*"
    command -v apt-get >/dev/null || { warn "no apt-get here: install $* (names in Debian) by other means"; return 1; }
    if [ "$(id -u)" != 0 ]; then
        by_hand="sudo $by_hand"
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then apt=(sudo -n "${apt[@]}")
        elif command -v sudo >/dev/null && [ -t 0 ]; then apt=(sudo "${apt[@]}")
        else warn "no permission to install packages; ask an administrator to run: apt-get install $*"; return 1
        fi
    fi
    say "installing $* ($by_hand)"
    if "${apt[@]}" install -y -qq --no-install-recommends "$@" </dev/null >"$SCRATCH/apt.log" 2>&1; then return; fi
    "${apt[@]}" update -qq </dev/null >"$SCRATCH/apt.log" 2>&1 || true      # a new machine has no package lists
    if "${apt[@]}" install -y -qq --no-install-recommends "$@" </dev/null >>"$SCRATCH/apt.log" 2>&1; then return; fi
    tail -n 5 "$SCRATCH/apt.log" >&2
    warn "command failed: $by_hand"
    return 1
}

provide_libraries() {
    local missing=()
    has_compiler || missing+=(g++)
    [ ${#missing[@]} = 0 ] && has_openblas || missing+=(libopenblas-dev)
    [ ${#missing[@]} = 0 ] && return
    apt_install "${missing[@]}" || true
    has_compiler || die 2 "no working g++, which Theano needs: install g++, then run ./setup_env.sh again"
    has_openblas ||
        warn "continuing without OpenBLAS (libopenblas-dev): Theano uses the BLAS of NumPy, about 4 times slower"
}

# -------------------------------------------------------------------------------------------- creating the virtualenv

take_lock() {                               # lock the folder itself, so that no lock file remains
    local status=0
    mkdir -p "$VENV"
    command -v flock >/dev/null || return 0
    exec 9<"$VENV"
    flock -n -E 75 9 2>/dev/null || status=$?           # another status: the file system has no locks
    [ $status != 75 ] || die 2 "another setup_env.sh is running on $VENV"
}

clear_venv() {
    if [ ! -e "$VENV/pyvenv.cfg" ] && [ ! -e "$MARK" ] && [ -n "$(ls -A "$VENV")" ]; then
        die 2 "$VENV is not empty and not a virtualenv: nothing changed"
    fi
    rm -f "$STAMP"
    touch "$MARK"
    find "$VENV/" -mindepth 1 ! -path "$MARK" -delete        # "/": the virtualenv may be a symbolic link
}

stage() {                                   # stage TITLE COMMAND...: print one line; the output goes to LOG
    local title=$1 start=$SECONDS
    STAGE=$((STAGE + 1))
    printf '[%d/%d] %s ... ' "$STAGE" "$STAGES" "$title"
    shift
    printf '\n==== %s\n' "$title" >>"$LOG"
    if ! "$@" >>"$LOG" 2>&1 </dev/null; then
        say "failed"
        awk '/^==== / {text = ""; next} !/^(WARNING|Looking in)/ {text = text "    " $0 "\n"} END {printf "%s", text}' \
            "$LOG" | tail -n 15 >&2
        die 1 "'$title' failed; its full output is in $LOG"
    fi
    say "$((SECONDS - start)) s"
}

pip_install() { "$VENV/bin/python" -m pip install --no-input --disable-pip-version-check "$@"; }

create_empty() {
    "$FOUND" -m venv "$VENV"
    case $FOUND_VERSION in 3.6.*) say "$PIP_FOR_36" ;; *) say "$PIP" ;; esac >"$SCRATCH/pip.txt"
    pip_install --require-hashes --no-deps -r "$SCRATCH/pip.txt"
}

install_build_tools() {                     # an entry of the lock is a line and its indented digests
    awk '/^[^ ]/ {take = /^(setuptools|wheel)==/} take' "$LOCK" >"$SCRATCH/build.txt"
    pip_install --require-hashes --no-deps -r "$SCRATCH/build.txt"
}

install_packages() { pip_install --require-hashes --no-deps --no-build-isolation -r "$LOCK"; }
install_project()  { pip_install --no-index --no-deps --no-build-isolation -e "$HERE"; }

self_test() {                               # from another folder, so that the installed project is tested
    cd "$SCRATCH" && "$VENV/bin/python" "$HERE/environment/self_test.py"
}

create_venv() {
    STAGE=0 STAGES=5
    if [ -e "$VENV/cuda" ] && [ -z "$CUDA" ]; then
        warn "the CUDA back-end is removed with the old virtualenv; ./setup_env.sh --cuda adds it to the new one"
    fi
    clear_venv
    say "creating $VENV with $FOUND (CPython $FOUND_VERSION)"
    stage "empty virtualenv with pinned pip" create_empty
    stage "setuptools and wheel" install_build_tools
    stage "Theano $THEANO and the other locked packages" install_packages
    stage "project, editable" install_project
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
    resolve_paths
    unset PYTHONPATH PYTHONHOME
    export HOME=${HOME:-/} PYTHONNOUSERSITE=1 PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0
    local complete=''
    if [ $MODE = create ] && is_complete; then
        complete=yes
        [ -z "$CUDA" ] || require_python_for_cuda
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
        create)
            take_lock
            provide_libraries
            if [ -z "$complete" ]; then find_or_install_interpreter; create_venv; fi
            [ -z "$CUDA" ] || add_cuda ;;
    esac
}

main "$@"
