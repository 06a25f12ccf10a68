# The CUDA back-end of the virtualenv: what `./setup_env.sh --cuda` adds. Sourced by setup_env.sh, whose names it uses.
# shellcheck shell=bash
#
# All of it lies in venv/cuda: python/ (pygpu, what it imports, NVRTC), include/ and lib/ (libgpuarray), cublas/, ptxas/
# (NVIDIA's packages; pip replaces whole folders, so each has its own). Nothing is compiled from source, and nothing of
# the system changes.

CUDAS="11, 12 or 13"
DEFAULT_CUDA=12

settle_cuda() {
    [ "$THEANO" = "$DEFAULT_THEANO" ] || die 2 "--cuda goes with Theano $DEFAULT_THEANO only, not $THEANO"
    [ "$HOSTTYPE" = x86_64 ] || die 2 "--cuda is for x86-64 only, this is $HOSTTYPE: leave it out"
    WANTED=(3.9)                            # Debian's pygpu is compiled for this one
    CUDA_LOCK=$HERE/requirements-cuda-$CUDA.txt
    PTXAS_LOCK=$HERE/requirements-ptxas.txt
    CUDA_HOME=$VENV/cuda
}

refuse_other_python() {                     # of a virtualenv that stands
    local version
    version=$(version_of "$VENV/bin/python")
    [ "${version%.*}" = 3.9 ] && return
    die 2 "the CUDA back-end needs CPython 3.9, $VENV has $version: ./setup_env.sh --cuda $CUDA --venv venv-cuda"
}

# ------------------------------------------------------------------------------------------------ is it there already?

cuda_fingerprint() {
    say "CUDA $CUDA in:"
    cat "$STAMP"
    cat "$CUDA_LOCK" "$HERE/setup_cuda.sh" | sha256sum | cut -d' ' -f1
}

cuda_has() {                                # cuda_has complete|cublas|ptxas: the name of its stamp
    [ -f "$CUDA_HOME/.$1" ] && [ "$(cat "$CUDA_HOME/.$1")" = "$(cuda_fingerprint)" ]
}

# cuBLAS is 400 to 600 MB, and nothing but a GPU can use it: by default it comes only where there is a driver, and no
# cuBLAS of the system.
wants_cublas() {
    [ "$CUBLAS" = yes ] || { can_load libcuda.so.1 && ! can_load "libcublas.so.$CUDA"; }
}

can_load() { "$VENV/bin/python" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1" >/dev/null 2>&1 </dev/null; }

cuda_is_complete() {
    cuda_has complete || return 1
    if wants_cublas; then cuda_has cublas || return 1; fi
    [ "$PTXAS" != yes ] || cuda_has ptxas
}

cuda_state() {
    if cuda_is_complete; then say "complete, CUDA $CUDA"
    elif cuda_has complete; then say "without cuBLAS or ptxas, which this machine or command line asks for"
    elif [ -e "$CUDA_HOME" ]; then say "half-made, outdated or of another CUDA"
    else say "not there"
    fi
}

# ------------------------------------------------------------------------------------------------------- making it

into_cuda() {                               # into_cuda FOLDER LOCK PATTERN: these packages and their indented digests
    awk -v wanted="^($3)" '/^[^ ]/ {take = $0 ~ wanted} take' "$2" >"$SCRATCH/cuda.txt"
    pip_install --require-hashes --no-deps --no-compile --upgrade --target "$CUDA_HOME/$1" -r "$SCRATCH/cuda.txt"
}

install_nvrtc()  { into_cuda python "$CUDA_LOCK" "mako|markupsafe|nvidia-cuda-nvrtc"; }
install_cublas() { into_cuda cublas "$CUDA_LOCK" nvidia-cublas && cuda_fingerprint >"$CUDA_HOME/.cublas"; }
install_ptxas()  { into_cuda ptxas "$PTXAS_LOCK" nvidia-cuda-nvcc && cuda_fingerprint >"$CUDA_HOME/.ptxas"; }

# The last libgpuarray that Theano 1.0.5 works with, compiled for CPython 3.9.
PYGPU="\
9dd6de9d4764ceec696e89c0b015c2e2beb04f1423bd6dc2fc12bb2bc5277ce2 libgpuarray3_0.7.6-5+b3_amd64.deb
e7f16054e81c1f4a3da321b2a6e5f280b0225bb15ceef6f10370220b977b4312 libgpuarray-dev_0.7.6-5+b3_amd64.deb
9b92287eaf221cd89267c47139954ba514f86ff1cd3f0c38f0b81cf73e8f06a5 python3-pygpu_0.7.6-5+b3_amd64.deb"

# Fetches and unpacks them: as a machine's other mirrors may have dropped them, each known place in turn. Debian's
# packages are ar archives, and the virtualenv's Python is all that is needed to read them.
FETCH='
import glob, hashlib, io, os, re, shutil, subprocess, sys, sysconfig, tarfile, urllib.request

def mirrors():
    for name in ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*")):
        try:
            with open(name) as stream:
                for url in re.findall(r"https?://[^\s\]]+/debian(?=/?\s)", stream.read()):
                    yield url
        except (OSError, UnicodeDecodeError):
            pass
    for url in ("deb.debian.org/debian", "archive.debian.org/debian",
                "snapshot.debian.org/archive/debian/20220101T000000Z"):
        yield "http://" + url

def fetch(name, digest):
    said = []
    for mirror in dict.fromkeys(mirrors()):
        url = "%s/pool/main/libg/libgpuarray/%s" % (mirror, name)
        try:
            with urllib.request.urlopen(url, timeout=60) as stream:
                content = stream.read()
        except (OSError, ValueError) as error:
            said.append("%s: %s" % (url, error))
            continue
        if hashlib.sha256(content).hexdigest() == digest:
            return content
        said.append("%s: another SHA-256 than the pinned one" % url)
    sys.exit("\n".join(said))

def unpack(content, folder):
    position = len("!<arch>\n")
    while position < len(content):
        header = content[position:position + 60]
        size = int(header[48:58])
        if header.startswith(b"data.tar"):
            data = io.BytesIO(content[position + 60:position + 60 + size])
            with tarfile.open(fileobj=data) as archive:
                archive.extractall(folder)
        position += 60 + size + size % 2

scratch, home = sys.argv[1:3]
for line in sys.stdin.read().splitlines():
    digest, name = line.split()
    content = fetch(name, digest)
    if shutil.which("dpkg"):
        with open(os.path.join(scratch, name), "wb") as stream:
            stream.write(content)
        subprocess.check_call(["dpkg", "-x", stream.name, scratch])
    else:
        unpack(content, scratch)
for source, folder in [("usr/include", "include"), ("usr/lib/python3/dist-packages/pygpu", "python/pygpu")]:
    target = os.path.join(home, folder)
    shutil.rmtree(target, ignore_errors=True)
    shutil.move(os.path.join(scratch, source), target)
os.makedirs(os.path.join(home, "lib"), exist_ok=True)
for name in ("libgpuarray.so.3.0", "libgpuarray.so.3", "libgpuarray.so"):
    shutil.move(os.path.join(scratch, "usr/lib", name), os.path.join(home, "lib", name))
packages = sysconfig.get_paths()["purelib"]
with open(os.path.join(packages, "cuda.pth"), "w") as stream:
    stream.write(os.path.relpath(os.path.join(home, "python"), packages) + "\n")
'

fetch_pygpu() { "$VENV/bin/python" -c "$FETCH" "$SCRATCH" "$CUDA_HOME" <<<"$PYGPU"; }

# libgpuarray opens libcuda.so, libnvrtc.so and libcublas.so by these names. A driver often has libcuda.so.1 only, and
# NVIDIA's packages have libnvrtc.so.12 and the like. A link of the plain name in some folder would be found through
# LD_LIBRARY_PATH only, which a process cannot set for itself. So each plain name becomes a library that is empty but
# for its needs: once a process has loaded it by its full path, the loader answers to the plain name with it, and looks
# symbols up in what it needs. NVRTC and cuBLAS are found where they lie, before LD_LIBRARY_PATH.
make_plain_names() {
    local nvrtc=$CUDA_HOME/python/nvidia cublas=$CUDA_HOME/cublas/nvidia
    mkdir -p "$CUDA_HOME/lib"
    plain_name libcuda.so libcuda.so.1 || return 1
    # CUDA 13's NVRTC does not look for its builtins beside itself: they must be there before.
    plain_name libnvrtc.so "$nvrtc"/*/lib/libnvrtc-builtins.so.* "$nvrtc"/*/lib/libnvrtc.so.* || return 1
    if cuda_has cublas; then
        plain_name libcublas.so "$cublas"/*/lib/libcublasLt.so.* "$cublas"/*/lib/libcublas.so.*
    else
        plain_name libcublas.so "libcublas.so.$CUDA"
    fi
}

plain_name() {                              # plain_name NAME NEEDED...: paths, or names that the system may have or not
    local name=$1 needed flags=(-Wl,--no-as-needed -Wl,--disable-new-dtags) folder
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
    g++ -shared -o "$CUDA_HOME/lib/$name" "-Wl,-soname,$name" -x c /dev/null -x none "${flags[@]}"
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
    stage "the names libgpuarray looks for" make_plain_names
    stage "self-test of the CUDA back-end" cuda_self_test
    tail -n 1 "$LOG"
    cuda_fingerprint >"$CUDA_HOME/.complete.new"
    mv "$CUDA_HOME/.complete.new" "$CUDA_HOME/.complete"
    if ! cuda_has cublas && ! can_load "libcublas.so.$CUDA"; then
        say "cuBLAS was left out for want of a driver: ./setup_env.sh --cuda $CUDA again where there is one, or with" \
            "--cublas now"
    fi
    say "the CUDA $CUDA back-end is complete ($SECONDS s)"
}
