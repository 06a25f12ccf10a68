# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153          # setup_env.sh sources this file; variables are shared
#
# `./setup_env.sh --cuda`: the back-end for NVIDIA GPUs, in the virtualenv's folder cuda/:
#
#   python/            pygpu, the packages that it imports, NVRTC
#   include/, lib/     libgpuarray, and the names of the CUDA libraries that it opens
#   cublas/, ptxas/    packages of NVIDIA, in one folder each, because pip replaces whole folders
#
# Nothing is compiled from source, and the system is not changed.

CUDAS="11, 12 or 13"
DEFAULT_CUDA=12

resolve_cuda_paths() {
    [ "$THEANO" = "$DEFAULT_THEANO" ] || die 2 "--cuda needs Theano $DEFAULT_THEANO, got $THEANO"
    [ "$HOSTTYPE" = x86_64 ] || die 2 "--cuda needs x86-64, this machine is $HOSTTYPE"
    WANTED=(3.9)                            # the version for which Debian compiled pygpu
    CUDA_LOCK=$HERE/requirements/cuda-$CUDA.txt
    PTXAS_LOCK=$HERE/requirements/ptxas.txt
    CUDA_HOME=$VENV/cuda
}

require_python_for_cuda() {                 # in an existing virtualenv
    local version
    version=$(version_of "$VENV/bin/python")
    [ "${version%.*}" = 3.9 ] && return
    die 2 "the CUDA back-end needs CPython 3.9, $VENV has $version: run ./setup_env.sh --cuda $CUDA --venv venv-cuda"
}

# ------------------------------------------------------------------------------------------- is it complete already?

cuda_fingerprint() {
    say "CUDA $CUDA in:"
    cat "$STAMP"
    cat "$CUDA_LOCK" "$HERE/environment/cuda.sh" "$HERE/environment/fetch_pygpu.py" "$HERE/environment/libnvrtc.cpp" |
        sha256sum | cut -d' ' -f1
}

cuda_has() {                                # cuda_has complete|cublas|ptxas: whether that stamp is valid
    [ -f "$CUDA_HOME/.$1" ] && [ "$(cat "$CUDA_HOME/.$1")" = "$(cuda_fingerprint)" ]
}

# cuBLAS is 400 to 600 MB and useless without a GPU. By default it is installed only if there is a driver and if the
# system has no cuBLAS.
wants_cublas() {
    [ "$CUBLAS" = yes ] || { can_load libcuda.so.1 && ! can_load "libcublas.so.$CUDA"; }
}

can_load() { "$VENV/bin/python" "$HERE/environment/can_load_library.py" "$1" >/dev/null 2>&1 </dev/null; }

cuda_is_complete() {
    cuda_has complete || return 1
    if wants_cublas; then cuda_has cublas || return 1; fi
    [ "$PTXAS" != yes ] || cuda_has ptxas
}

cuda_state() {
    if cuda_is_complete; then say "complete, CUDA $CUDA"
    elif cuda_has complete; then say "incomplete: cuBLAS or ptxas is missing"
    elif [ -e "$CUDA_HOME" ]; then say "incomplete, outdated or of another CUDA version"
    else say "not installed"
    fi
}

# ---------------------------------------------------------------------------------------------------- installing it

into_cuda() {                               # into_cuda FOLDER LOCK PATTERN: install the packages that match
    awk -v wanted="^($3)" '/^[^ ]/ {take = $0 ~ wanted} take' "$2" >"$SCRATCH/cuda.txt"
    pip_install --require-hashes --no-deps --no-compile --upgrade --target "$CUDA_HOME/$1" -r "$SCRATCH/cuda.txt"
}

install_nvrtc()  { into_cuda python "$CUDA_LOCK" "mako|markupsafe|nvidia-cuda-nvrtc"; }
install_cublas() { into_cuda cublas "$CUDA_LOCK" nvidia-cublas && cuda_fingerprint >"$CUDA_HOME/.cublas"; }
install_ptxas()  { into_cuda ptxas "$PTXAS_LOCK" nvidia-cuda-nvcc && cuda_fingerprint >"$CUDA_HOME/.ptxas"; }

fetch_pygpu()    { "$VENV/bin/python" "$HERE/environment/fetch_pygpu.py" "$SCRATCH" "$CUDA_HOME"; }

# libgpuarray opens libcuda.so, libnvrtc.so and libcublas.so by these names. A driver often has only libcuda.so.1, and
# the packages of NVIDIA have libnvrtc.so.12 and the like. A link with the plain name would be found only through
# LD_LIBRARY_PATH, which a process cannot set for itself. Therefore each plain name becomes a library that depends on
# the real one. After a process has loaded it by its full path, the loader uses it for the plain name, and finds the
# symbols in its dependency. NVRTC and cuBLAS are found by their paths, before LD_LIBRARY_PATH is searched. It is empty,
# except for libnvrtc.so, which has a function of environment/libnvrtc.cpp.
make_plain_names() {
    local nvrtc=$CUDA_HOME/python/nvidia cublas=$CUDA_HOME/cublas/nvidia
    mkdir -p "$CUDA_HOME/lib"
    plain_name libcuda.so libcuda.so.1 || return 1
    # NVRTC of CUDA 13 does not search its own folder for its builtins: they must be loaded before it.
    plain_name libnvrtc.so "$nvrtc"/*/lib/libnvrtc-builtins.so.* "$nvrtc"/*/lib/libnvrtc.so.* || return 1
    if cuda_has cublas; then
        plain_name libcublas.so "$cublas"/*/lib/libcublasLt.so.* "$cublas"/*/lib/libcublas.so.*
    else
        plain_name libcublas.so "libcublas.so.$CUDA"
    fi
}

plain_name() {                              # plain_name NAME DEPENDENCY...: paths, or names of system libraries
    local name=$1 needed flags=("-Wl,--no-as-needed" "-Wl,--disable-new-dtags") folder source=/dev/null
    shift
    for needed in "$@"; do
        if [ -e "$needed" ]; then
            folder=${needed%/*}
            flags+=("$needed" "-Wl,-rpath,\$ORIGIN/..${folder#"$CUDA_HOME"}")
        else
            case $needed in */*) warn "no $needed"; return 1 ;; esac
            g++ -shared -x c /dev/null -o "$SCRATCH/$needed" "-Wl,-soname,$needed" || return 1
            flags+=("$SCRATCH/$needed")
        fi
    done
    [ "$name" != libnvrtc.so ] || source=$HERE/environment/libnvrtc.cpp
    g++ -shared -fPIC -O1 -o "$CUDA_HOME/lib/$name" "-Wl,-soname,$name" -x c++ "$source" -x none "${flags[@]}" -ldl
}

cuda_self_test() { cd "$SCRATCH" && "$VENV/bin/python" -m theano_rnn.runtime.gpu; }

add_cuda() {
    local whole=yes cublas='' ptxas=''
    if cuda_has complete; then whole=''; fi
    if wants_cublas && ! { [ -z "$whole" ] && cuda_has cublas; }; then cublas=yes; fi
    if [ "$PTXAS" = yes ] && ! { [ -z "$whole" ] && cuda_has ptxas; }; then ptxas=yes; fi
    STAGE=0 STAGES=$((2 + 2 * ${#whole} / 3 + ${#cublas} / 3 + ${#ptxas} / 3))
    say "adding the CUDA $CUDA back-end, in $CUDA_HOME"
    if [ -n "$whole" ]; then
        rm -rf "$CUDA_HOME"
        mkdir -p "$CUDA_HOME"
        stage "NVRTC, mako" install_nvrtc
        stage "pygpu 0.7.6 from Debian 11" fetch_pygpu
    fi
    rm -f "$CUDA_HOME/.complete"
    [ -z "$cublas" ] || stage "cuBLAS (400 to 600 MB)" install_cublas
    [ -z "$ptxas" ] || stage "ptxas, for the tests" install_ptxas
    stage "library names for libgpuarray" make_plain_names
    stage "self-test of the CUDA back-end" cuda_self_test
    tail -n 1 "$LOG"
    cuda_fingerprint >"$CUDA_HOME/.complete.new"
    mv "$CUDA_HOME/.complete.new" "$CUDA_HOME/.complete"
    if ! cuda_has cublas && ! can_load "libcublas.so.$CUDA"; then
        say "cuBLAS was not installed, because there is no NVIDIA driver: run ./setup_env.sh --cuda $CUDA again on a" \
            "machine with a driver, or with --cublas"
    fi
    say "the CUDA $CUDA back-end is complete ($SECONDS s)"
}
