"""setup_env.sh on a simulated machine: PATH holds a few system tools and the programs that a test fakes."""

import glob
import os
import shutil
import stat
import subprocess
import textwrap
import time

import pytest
from helpers.compile_cache import ODD

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = ("awk bash cat cp cut dirname env find flock grep head id ls mkdir mktemp mv readlink rm rmdir sed sha256sum "
         "sleep tail timeout touch").split()

# Reports a version, creates a virtualenv that holds a copy of itself; pip and every other script succeed.
INTERPRETER = """\
#!/usr/bin/env bash
case "$1 $2" in
    */environment/probe_interpreter.py*) echo "{implementation} {version} {venv} {headers} $0" ;;
    */environment/link_flags.py*) printf '%s\\n' -I. -L. -lpython ;;
    "-m venv") mkdir -p "$3/bin"; touch "$3/pyvenv.cfg"; cp "$0" "$3/bin/python" ;;
    "-m pip") {pip} ;;
    *) echo "it computes" ;;
esac
"""


class Machine:
    """A copy of the project's set-up files, and a PATH without Python, compiler, apt or sudo."""

    def __init__(self, folder):
        self.project = folder / "project"
        self.bin = folder / "bin"
        self.home = folder / "home"
        for path in (self.project, self.bin, self.home):
            path.mkdir()
        for name in ("setup_env.sh", "setup.py"):
            shutil.copy(os.path.join(ROOT, name), str(self.project))
        for name in ("environment", "requirements"):
            shutil.copytree(os.path.join(ROOT, name), str(self.project / name))
        for name in TOOLS:
            if shutil.which(name):
                (self.bin / name).symlink_to(shutil.which(name))

    def program(self, name, text, folder=None):
        path = (folder or self.bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        path.chmod(0o755)
        return str(path)

    def python(self, version, name=None, folder=None, **claims):
        settings = dict(implementation="CPython", venv="venv", headers="headers", pip="exit 0", version=version)
        settings.update(claims)
        return self.program(name or "python" + version.rpartition(".")[0], INTERPRETER.format(**settings), folder)

    def compiler(self, body="exit 0"):
        return self.program("g++", "#!/usr/bin/env bash\n" + body + "\n")

    def environment(self, **more):
        return dict({"PATH": str(self.bin), "HOME": str(self.home), "TMPDIR": str(self.home)}, **more)

    def run(self, *arguments, **more):
        process = subprocess.run([str(self.project / "setup_env.sh")] + list(arguments), env=self.environment(**more),
                                 cwd=str(self.home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
        return process.returncode, process.stdout, process.stderr


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def ready(machine):
    machine.compiler()
    machine.python("3.9.18")
    return machine


def without_conda():
    if any(os.path.exists("/opt/" + name) for name in ("conda", "miniconda3", "anaconda3")):
        pytest.skip("this machine has a conda under /opt, which would be found")


# ------------------------------------------------------------------------------------------------------ command line

def test_help_lists_every_option_and_the_known_releases(machine):
    status, out, _ = machine.run("--help")
    assert status == 0
    for word in ("--theano", "--python", "--venv", "--check", "--find", "--cuda", "--cublas", "--ptxas", "1.0.5",
                 "0.9.0", "11, 12 or 13"):
        assert word in out


@pytest.mark.parametrize("arguments, message", [
    (["--theano", "1.2"], "--theano must be 1.0.5 or 0.9.0, got '1.2'"),
    (["--theano=1.2"], "--theano must be 1.0.5 or 0.9.0, got '1.2'"),
    (["--theano"], "--theano needs a value"),
    (["--cuda", "10"], "--cuda must be 11, 12 or 13 (default: 12), got '10'"),
    (["--cuda=cuda"], "--cuda must be 11, 12 or 13 (default: 12), got 'cuda'"),
    (["--cublas"], "--cublas and --ptxas need --cuda"),
    (["--theano", "0.9.0", "--cuda"], "--cuda needs Theano 1.0.5, got 0.9.0"),
    (["--colour"], "unknown argument '--colour'"),
    (["here"], "unknown argument 'here'"),
])
def test_invalid_arguments_give_a_message_of_one_line(ready, arguments, message):
    status, out, err = ready.run(*arguments)
    assert (status, out) == (2, "")
    assert message in err and err.count("\n") == 1
    assert not (ready.project / "venv").exists()


# ------------------------------------------------------------------------------------------------- the interpreter

def test_without_interpreter_reports_those_found_and_how_to_install_one(machine):
    without_conda()
    machine.compiler()
    machine.python("3.12.1", "python3")
    machine.program("python3.9", "#!/usr/bin/env bash\necho 'pyenv: python3.9: command not found' >&2\nexit 127\n")
    machine.python("3.10.1", venv="-")
    machine.python("3.8.1", headers="-")
    machine.python("3.9.2", "python", implementation="PyPy")
    status, out, err = machine.run()
    assert status == 2
    for message in ("found no CPython 3.9 or 3.8 or 3.10 or 3.11", "python3: is CPython 3.12.1",
                    "python3.9: does not run (pyenv: python3.9: command not found)",
                    "3.10.1, but without venv and ensurepip (Debian: python3.10-venv)",
                    "3.8.1, but without Python.h (Debian: python3.8-dev)", "python: is PyPy, not CPython",
                    "apt-get install python3.9", "apt-get install python3.11 python3.11-venv python3.11-dev",
                    "uv python install 3.9", "pyenv install 3.9", "conda create"):
        assert message in err
    assert not (machine.project / "venv").exists()


def test_without_any_python_at_all(machine):
    without_conda()
    status, out, err = machine.run("--find", "--theano", "0.9.0")
    assert (status, out) == (2, "")
    assert "found no CPython 3.6 for Theano 0.9.0" in err and "pyenv install 3.6" in err


def test_the_best_version_is_chosen_not_the_first(machine):
    eleven = machine.python("3.11.2", "python3")
    assert machine.run("--find")[:2] == (0, eleven + "\n")
    ten = machine.python("3.10.4")
    assert machine.run("--find")[:2] == (0, ten + "\n")
    machine.python("3.8.4")
    eight = str(machine.bin / "python3.8")
    assert machine.run("--find")[:2] == (0, eight + "\n")
    nine = machine.python("3.9.4", folder=machine.home / ".pyenv" / "versions" / "3.9.4" / "bin")
    assert machine.run("--find")[:2] == (0, nine + "\n")


def test_theano_0_9_0_needs_cpython_3_6(machine):
    without_conda()
    machine.python("3.11.2", "python3")
    status, _, err = machine.run("--find", "--theano", "0.9.0")
    assert status == 2 and "python3: is CPython 3.11.2" in err and "python3.11-venv" not in err


@pytest.mark.parametrize("place", ["pyenv", "pyenv root", "conda folder", "conda command", "uv"])
def test_finds_interpreters_that_are_not_on_path(machine, place):
    somewhere = machine.home / "some where"
    more = {}
    if place == "pyenv":
        path = machine.python("3.9.1", folder=machine.home / ".pyenv" / "versions" / "3.9.1" / "bin")
    elif place == "pyenv root":
        path = machine.python("3.9.1", folder=somewhere / "versions" / "3.9.1" / "bin")
        more = {"PYENV_ROOT": str(somewhere)}
    elif place == "conda folder":
        path = machine.python("3.9.1", "python", folder=machine.home / "miniconda3" / "envs" / "old" / "bin")
    elif place == "conda command":
        path = machine.python("3.9.1", "python", folder=machine.home / "envs" / "old" / "bin")
        machine.program("conda", "#!/usr/bin/env bash\necho '# conda environments:'\necho 'old  * %s'\n"
                        % (machine.home / "envs" / "old"))
    else:
        path = machine.python("3.9.1", folder=somewhere)
        machine.program("uv", '#!/usr/bin/env bash\n[ "$*" = "python find 3.9" ] && echo "%s"\n' % path)
    assert machine.run("--find", **more)[:2] == (0, path + "\n")


def test_uv_installs_a_missing_interpreter(machine):
    without_conda()
    machine.compiler()
    new = machine.python("3.9.1", "not-yet", folder=machine.home / "uv")
    installed = machine.home / "uv" / "python3.9"
    machine.program("uv", """\
        #!/usr/bin/env bash
        case "$*" in
            "python install 3.9") mv "{new}" "{installed}" ;;
            "python find 3.9") [ -e "{installed}" ] && echo "{installed}" ;;
            *) exit 1 ;;
        esac
        """.format(new=new, installed=installed))
    status, out, _ = machine.run()
    assert status == 0 and "uv python install 3.9" in out


def test_apt_installs_the_interpreter_of_debian_12(machine):
    without_conda()
    machine.compiler()
    new = machine.python("3.11.2", "not-yet", folder=machine.home)
    (machine.bin / "id").unlink()
    machine.program("id", "#!/usr/bin/env bash\necho 0\n")
    machine.program("apt-cache", '#!/usr/bin/env bash\n[ "$*" = "show python3.11-venv" ]\n')
    machine.program("apt-get", """\
        #!/usr/bin/env bash
        case "$*" in *" python3.11 python3.11-venv python3.11-dev") mv "{0}" "{1}" ;; *) exit 1 ;; esac
        """.format(new, machine.bin / "python3.11"))
    status, out, err = machine.run()
    assert (status, err) == (0, "")
    assert "apt-get install python3.11 " in out and "(CPython 3.11.2)" in out


def test_a_given_interpreter_is_used_or_refused_never_replaced(ready):
    eight = ready.python("3.8.2", "mine", folder=ready.home)
    assert ready.run("--python", eight, "--find")[:2] == (0, eight + "\n")
    seven = ready.python("3.7.2", "other", folder=ready.home)
    status, _, err = ready.run("--python", seven)
    assert status == 2 and "other: is CPython 3.7.2" in err


def test_an_interpreter_without_a_linkable_library_is_refused(machine):
    without_conda()
    machine.compiler('case "$*" in *-lpython*) exit 1 ;; esac')
    machine.python("3.9.1")
    status, _, err = machine.run("--find")
    assert status == 2 and "g++ cannot link a shared object with it" in err and "--enable-shared" in err


# ------------------------------------------------------------------------------------------------- system libraries

def test_without_compiler_and_permission_prints_the_command(machine):
    machine.python("3.9.1")
    machine.program("apt-get", "#!/usr/bin/env bash\nexit 1\n")
    (machine.bin / "id").unlink()
    machine.program("id", "#!/usr/bin/env bash\necho 1000\n")
    status, _, err = machine.run()
    assert status == 2
    assert "ask an administrator to run: apt-get install g++ libopenblas-dev" in err and "no working g++" in err


def test_sudo_is_used_if_it_asks_for_no_password(machine):
    machine.python("3.9.1")
    (machine.bin / "id").unlink()
    machine.program("id", "#!/usr/bin/env bash\necho 1000\n")
    machine.program("sudo", '#!/usr/bin/env bash\n[ "$1" = -n ] || exit 1\nshift\nSUDO=1 exec "$@"\n')
    machine.program("true", "#!/usr/bin/env bash\n")
    machine.program("apt-get", """\
        #!/usr/bin/env bash
        [ "$SUDO" = 1 ] || exit 1
        case "$*" in *"g++ libopenblas-dev") printf '#!/usr/bin/env bash\\n' >"{0}"; chmod 755 "{0}" ;; esac
        """.format(machine.bin / "g++"))
    (machine.bin / "chmod").symlink_to(shutil.which("chmod"))
    status, out, err = machine.run()
    assert (status, err) == (0, "")
    assert "sudo apt-get install g++ libopenblas-dev" in out


def test_without_openblas_continues_with_a_warning(machine):
    machine.compiler('case "$*" in *-lopenblas*) exit 1 ;; esac')
    machine.python("3.9.1")
    status, _, err = machine.run()
    assert status == 0
    assert "no apt-get here" in err
    assert "continuing without OpenBLAS (libopenblas-dev)" in err and "4 times slower" in err


# --------------------------------------------------------------------------------------------------- the virtualenv

def test_a_complete_virtualenv_is_recognised_within_a_second(ready):
    status, out, err = ready.run()
    assert (status, err) == (0, "")
    assert "it computes" in out and "[5/5] self-test" in out and (ready.project / "venv" / "bin" / "python").exists()
    ready.program("python3.9", "#!/usr/bin/env bash\nexit 1\n")        # no longer needed, nor is the network
    start = time.time()
    status, out, err = ready.run()
    assert (status, err) == (0, "")
    assert out.count("\n") == 1 and "venv is complete (CPython 3.9.18, Theano 1.0.5): nothing to do" in out
    assert time.time() - start < 1
    assert ready.run("--check")[0] == 0


def test_another_theano_and_another_folder(ready):
    ready.python("3.6.15")
    assert ready.run("--theano", "0.9.0")[0] == 0
    assert (ready.project / "venv-theano-0.9.0" / "bin" / "python").exists()
    assert ready.run("--venv", "mine")[0] == 0                         # relative to the current folder
    assert (ready.home / "mine" / "bin" / "python").exists() and not (ready.project / "venv").exists()


@pytest.mark.parametrize("name", ["mine/", "./mine", "link/mine"])
def test_a_folder_is_the_same_under_another_name(ready, name):
    (ready.home / "link").symlink_to(ready.home)
    assert ready.run("--venv", "mine")[0] == 0
    status, out, _ = ready.run("--venv", name)
    assert status == 0 and "nothing to do" in out


def test_cdpath_does_not_change_where_the_project_is(ready):
    process = subprocess.run(["bash", "project/setup_env.sh", "--check"], cwd=str(ready.home.parent),
                             env=ready.environment(CDPATH=str(ready.home.parent)), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, universal_newlines=True)
    assert process.stderr == "" and "project/venv: does not exist" in process.stdout


def test_spaces_quotes_and_other_letters_in_the_paths(tmp_path):
    folder = tmp_path / ODD
    folder.mkdir()
    machine = Machine(folder)
    machine.compiler()
    python = machine.python("3.9.18", folder=folder / "my python")
    status, out, err = machine.run("--python", python)
    assert (status, err) == (0, "") and "[5/5] self-test" in out
    assert machine.run("--check")[0] == 0
    assert "nothing to do" in machine.run()[1]
    assert machine.run("--find", "--python", python) == (0, python + "\n", "")
    other = folder / u"another \u00e9"
    assert machine.run("--python", python, "--venv", str(other))[0] == 0 and (other / "bin" / "python").exists()


@pytest.mark.parametrize("name", ["requirements/theano-1.0.5.txt", "setup.py"])
def test_is_recreated_when_requirements_or_setup_py_change(ready, name):
    assert ready.run()[0] == 0
    with open(str(ready.project / name), "a") as changed:
        changed.write("# changed\n")
    assert "outdated" in ready.run("--check")[1]
    status, out, _ = ready.run()
    assert status == 0 and "creating " in out


def test_is_recreated_for_another_interpreter(ready):
    assert ready.run()[0] == 0
    eight = ready.python("3.8.2")
    assert "nothing to do" in ready.run()[1]
    status, out, _ = ready.run("--python", eight)
    assert status == 0 and "(CPython 3.8.2)" in out


def test_an_incomplete_virtualenv_is_reported_and_recreated(ready):
    ready.python("3.9.18", pip="echo 'no network here'; exit 1")
    status, out, err = ready.run()
    assert status == 1 and "[1/5]" in out
    assert "no network here" in err and "'empty virtualenv with pinned pip' failed" in err
    status, out, _ = ready.run("--check")
    assert status == 1 and "venv: incomplete" in out
    (ready.project / "venv" / "left-over").write_text("from the first attempt")
    ready.python("3.9.18")
    assert ready.run()[0] == 0
    assert not (ready.project / "venv" / "left-over").exists()
    assert ready.run("--check")[0] == 0


def test_a_virtualenv_behind_a_link_is_recreated(ready):
    (ready.home / "elsewhere").mkdir()
    link = ready.project / "venv"
    link.symlink_to(ready.home / "elsewhere")
    assert ready.run()[0] == 0
    (link / "stale").touch()
    (link / ".complete").write_text("outdated")
    assert ready.run()[0] == 0
    assert link.is_symlink() and not (link / "stale").exists() and (link / "bin" / "python").exists()


def test_a_folder_with_other_files_is_not_changed(ready):
    precious = ready.home / "thesis"
    precious.mkdir()
    (precious / "chapter-1").write_text("words")
    status, _, err = ready.run("--venv", str(precious))
    assert status == 2 and "not empty and not a virtualenv" in err
    assert os.listdir(str(precious)) == ["chapter-1"]


@pytest.mark.skipif(not shutil.which("flock"), reason="no flock here")
def test_a_second_run_at_the_same_time_is_refused(ready):
    ready.python("3.9.18", pip="touch '%s'; sleep 2" % (ready.home / "started"))
    first = subprocess.Popen([str(ready.project / "setup_env.sh")], env=ready.environment(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.time() + 10
    while not (ready.home / "started").exists() and time.time() < deadline:
        time.sleep(0.05)
    status, _, err = ready.run()
    assert status == 2 and "another setup_env.sh is running" in err and err.count("\n") == 1
    assert not (ready.project / "venv" / ".complete").exists()
    first.kill()
    first.communicate()
    assert "venv: incomplete" in ready.run("--check")[1]


# -------------------------------------------------------------------------------------------------- the CUDA back-end

# A pip that logs the packages and creates the libraries of NVRTC and cuBLAS at the paths of NVIDIA's packages.
PIP_OF_NVIDIA = """
        until [ $# = 0 ]; do
            if [ "$1" = --target ]; then
                mkdir -p "$2/nvidia/some/lib"
                for name in nvrtc nvrtc-builtins cublas cublasLt; do touch "$2/nvidia/some/lib/lib$name.so.12"; done
            elif [ "$1" = -r ]; then sed -n 's/==.*//p' "$2" >>"$HOME/installed"
            fi
            shift
        done"""
on_x86 = pytest.mark.skipif(os.uname()[4] != "x86_64", reason="the CUDA back-end is for x86-64")


@pytest.fixture
def with_cuda(machine):
    machine.compiler()
    machine.python("3.9.18", pip=PIP_OF_NVIDIA)
    assert machine.run()[0] == 0
    machine.forget = lambda: (machine.home / "installed").write_text("")
    machine.installed = lambda: (machine.home / "installed").read_text().split()
    machine.forget()
    return machine


@on_x86
def test_cuda_is_added_to_an_existing_virtualenv(with_cuda):
    left = with_cuda.project / "venv" / "left"
    left.write_text("from the first run")
    assert with_cuda.run("--check", "--cuda")[0] == 1
    status, out, err = with_cuda.run("--cuda")
    assert (status, err) == (0, "")
    assert "[4/4] self-test of the CUDA back-end" in out and "the CUDA 12 back-end is complete" in out
    assert with_cuda.installed() == ["mako", "markupsafe", "nvidia-cuda-nvrtc-cu12"]
    assert left.exists()
    with_cuda.forget()
    status, out, err = with_cuda.run("--cuda=12")
    assert (status, err, out.count("\n")) == (0, "", 1)
    assert "(CPython 3.9.18, Theano 1.0.5, CUDA 12): nothing to do" in out and with_cuda.installed() == []
    assert with_cuda.run("--check", "--cuda")[0] == 0
    assert "nothing to do" in with_cuda.run()[1]


@on_x86
def test_parts_of_the_cuda_back_end_are_added_one_by_one(with_cuda):
    for arguments, installed in [
            (["--cuda", "--cublas"], ["mako", "markupsafe", "nvidia-cuda-nvrtc-cu12", "nvidia-cublas-cu12"]),
            (["--cuda", "12", "--ptxas"], ["nvidia-cuda-nvcc"]),
            (["--cuda", "--ptxas", "--cublas"], []),
            (["--cuda", "13"], ["mako", "markupsafe", "nvidia-cuda-nvrtc"])]:
        with_cuda.forget()
        status, _, err = with_cuda.run(*arguments)
        assert (status, err) == (0, "")
        assert sorted(with_cuda.installed()) == sorted(installed)


@on_x86
def test_an_incomplete_cuda_back_end_is_reinstalled(with_cuda):
    with_cuda.compiler('case "$*" in *libcuda.so*) exit 1 ;; esac')
    status, out, err = with_cuda.run("--cuda")
    assert status == 1 and "'library names for libgpuarray' failed" in err
    assert "incomplete, outdated or of another CUDA version" in with_cuda.run("--check", "--cuda")[1]
    assert "nothing to do" in with_cuda.run()[1]
    with_cuda.compiler()
    assert with_cuda.run("--cuda")[0] == 0


@on_x86
@pytest.mark.parametrize("name", ["requirements/cuda-12.txt", "environment/cuda.sh", "environment/fetch_pygpu.py",
                                  "environment/libnvrtc.cpp"])
def test_an_outdated_cuda_back_end_is_reinstalled(with_cuda, name):
    assert with_cuda.run("--cuda")[0] == 0
    with open(str(with_cuda.project / name), "a") as changed:
        changed.write("# changed\n")
    assert "incomplete, outdated or of another CUDA version" in with_cuda.run("--check", "--cuda")[1]
    status, out, _ = with_cuda.run("--cuda")
    assert status == 0 and "[1/4]" in out


@on_x86
def test_the_cuda_back_end_is_removed_with_an_outdated_virtualenv(with_cuda):
    assert with_cuda.run("--cuda")[0] == 0
    with open(str(with_cuda.project / "setup.py"), "a") as changed:
        changed.write("# changed\n")
    status, _, err = with_cuda.run()
    assert status == 0 and "the CUDA back-end is removed with the old virtualenv; ./setup_env.sh --cuda adds it" in err
    assert with_cuda.run("--check", "--cuda")[0] == 1


@on_x86
def test_cuda_needs_cpython_3_9(machine):
    without_conda()
    machine.compiler()
    machine.python("3.8.4")
    status, _, err = machine.run("--cuda")
    assert status == 2 and "found no CPython 3.9 for Theano 1.0.5" in err and "python3.11" not in err
    assert machine.run()[0] == 0
    status, out, err = machine.run("--cuda")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "the CUDA back-end needs CPython 3.9" in err and "3.8.4" in err


def test_the_scripts_are_executable():
    for name in ("setup_env.sh", os.path.join(".ci", "run")):
        assert os.stat(os.path.join(ROOT, name)).st_mode & stat.S_IXUSR


def test_the_scripts_are_valid_bash():
    patterns = ["*.sh", ".ci/run", "environment/*.sh", "benchmarks/*.sh", "Experiments/*/*.sh"]
    for pattern in patterns:
        paths = glob.glob(os.path.join(ROOT, pattern))
        assert paths, "no script matches %s" % pattern
        for path in paths:
            subprocess.check_call(["bash", "-n", path])
