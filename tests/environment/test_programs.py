"""The Python programs that setup_env.sh runs: environment/*.py."""

import glob
import hashlib
import importlib.util
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "environment")


def load(name):
    specification = importlib.util.spec_from_file_location("environment_" + name, os.path.join(FOLDER, name + ".py"))
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def output(interpreter, name, *arguments):
    return subprocess.check_output([interpreter, os.path.join(FOLDER, name + ".py")] + list(arguments),
                                   stdin=subprocess.DEVNULL, universal_newlines=True)


def interpreters():
    """Return this interpreter and the installed ones of pyenv and /usr/bin, one per version."""
    paths = glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python")) + glob.glob("/usr/bin/python[23]")
    return [sys.executable] + sorted(paths)


# ------------------------------------------------------------------------------------------------ probe_interpreter

@pytest.mark.parametrize("path", interpreters())
def test_probe_reports_implementation_version_modules_headers_and_path(path):
    implementation, version, has_venv, headers, base = output(path, "probe_interpreter").split()
    assert implementation in ("CPython", "PyPy")
    assert subprocess.check_output([path, "-c", "import sys; sys.stdout.write(sys.version.split()[0])"],
                                   universal_newlines=True) == version
    assert has_venv in ("venv", "-") and headers in ("headers", "-")
    assert output(base, "probe_interpreter").split()[:2] == [implementation, version]


def test_probe_reports_the_base_interpreter_of_a_virtualenv():
    probe = load("probe_interpreter")
    assert probe.describe().split()[:2] == [platform.python_implementation(), platform.python_version()]
    if sys.prefix != sys.base_prefix:
        assert os.path.commonpath([probe.interpreter_path(), sys.base_prefix]) == sys.base_prefix
    assert os.path.samefile(probe.interpreter_path(), sys.executable)


def test_probe_reports_missing_modules(monkeypatch):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert load("probe_interpreter").describe().split()[2] == "-"


# ---------------------------------------------------------------------------------------------- link_flags, can_load

@pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")
def test_a_shared_object_links_with_the_flags(tmp_path):
    flags = load("link_flags").link_flags()
    assert output(sys.executable, "link_flags").splitlines() == flags
    source = tmp_path / "module.cpp"
    source.write_text(u"#include <Python.h>\nPyObject *f() { return PyLong_FromLong(1); }\n")
    subprocess.check_call(["g++", "-shared", "-fPIC", str(source), "-o", str(tmp_path / "module.so")] + flags)


def test_can_load_library():
    can_load = load("can_load_library").can_load
    assert can_load("libc.so.6") and not can_load("libnothing-of-this-name.so.1")
    program = os.path.join(FOLDER, "can_load_library.py")
    assert subprocess.call([sys.executable, program, "libc.so.6"]) == 0
    assert subprocess.call([sys.executable, program, "libnothing-of-this-name.so.1"]) == 1


# ------------------------------------------------------------------------------------------------------ fetch_pygpu

@pytest.fixture
def fetch_pygpu():
    return load("fetch_pygpu")


def debian_package(files):
    """Return the bytes of a Debian package with these files: contents by path."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo("./" + path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    control = io.BytesIO()
    with tarfile.open(fileobj=control, mode="w:xz") as archive:
        text = b"Package: example\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: example\n"
        member = tarfile.TarInfo("./control")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    package = b"!<arch>\n"
    for name, content in [("debian-binary", b"2.0\n"), ("control.tar.xz", control.getvalue()),
                          ("data.tar.xz", data.getvalue())]:
        package += ("%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, "100644", len(content))).encode()
        package += content + b"\n" * (len(content) % 2)
    return package


def test_mirrors_are_those_of_apt_then_debians_each_once(fetch_pygpu, tmp_path):
    (tmp_path / "sources.list").write_text(
        u"deb http://mirror.example/debian bullseye main\ndeb http://mirror.example/debian/ bullseye-updates main\n"
        u"deb http://security.example/debian-security bullseye-security main\n")
    more = tmp_path / "sources.list.d"
    more.mkdir()
    (more / "a.list").write_text(u"deb [arch=amd64] https://other.example/debian bullseye main\n")
    (more / "b.gpg").write_bytes(b"\xff\xfe")
    assert fetch_pygpu.mirrors(str(tmp_path)) == ["http://mirror.example/debian", "https://other.example/debian"] + \
        fetch_pygpu.SERVERS
    assert fetch_pygpu.mirrors(str(tmp_path / "missing")) == fetch_pygpu.SERVERS


def test_fetch_returns_the_first_package_with_the_right_digest(fetch_pygpu, tmp_path):
    urls = []
    for name, content in [("missing", None), ("altered", b"altered"), ("right", b"right")]:
        pool = tmp_path / name / "pool" / "main" / "libg" / "libgpuarray"
        pool.mkdir(parents=True)
        if content:
            (pool / "package.deb").write_bytes(content)
        urls.append((tmp_path / name).as_uri())
    digest = hashlib.sha256(b"right").hexdigest()
    assert fetch_pygpu.fetch("package.deb", digest, urls) == b"right"
    with pytest.raises(LookupError) as caught:
        fetch_pygpu.fetch("package.deb", digest, urls[:2])
    missing, altered = str(caught.value).splitlines()
    assert missing.startswith(urls[0] + "/pool/main/libg/libgpuarray/package.deb: ")
    assert altered == urls[1] + "/pool/main/libg/libgpuarray/package.deb: the SHA-256 differs from the pinned one"


@pytest.mark.parametrize("method", ["unpack", "unpack_with_dpkg"])
def test_unpack(fetch_pygpu, method, tmp_path):
    if method == "unpack_with_dpkg" and not shutil.which("dpkg"):
        pytest.skip("needs dpkg")
    getattr(fetch_pygpu, method)(debian_package({"usr/odd": b"odd", "usr/lib/even": b"even"}), str(tmp_path))
    assert (tmp_path / "usr" / "odd").read_bytes() == b"odd"
    assert (tmp_path / "usr" / "lib" / "even").read_bytes() == b"even"
    assert os.listdir(str(tmp_path)) == ["usr"]


def test_main_installs_the_packages(fetch_pygpu, tmp_path, monkeypatch):
    files = {"usr/include/gpuarray/array.h": b"header", "usr/lib/python3/dist-packages/pygpu/__init__.py": b"import"}
    files.update(("usr/lib/" + name, b"library") for name in fetch_pygpu.LIBRARIES)
    content = debian_package(files)
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "one.deb").write_bytes(content)
    scratch, home, packages = tmp_path / "scratch", tmp_path / "cuda", tmp_path / "lib" / "site-packages"
    for folder in (scratch, home / "python" / "pygpu", packages):
        folder.mkdir(parents=True)
    (home / "python" / "pygpu" / "of-an-older-version").write_text(u"")
    monkeypatch.setattr(fetch_pygpu, "PACKAGES", {"one.deb": hashlib.sha256(content).hexdigest()})
    monkeypatch.setattr(fetch_pygpu, "fetch", lambda name, digest, urls: content)
    monkeypatch.setattr(fetch_pygpu.sysconfig, "get_paths", lambda: {"purelib": str(packages)})
    fetch_pygpu.main(str(scratch), str(home))
    assert (home / "include" / "gpuarray" / "array.h").read_bytes() == b"header"
    assert sorted(os.listdir(str(home / "lib"))) == sorted(fetch_pygpu.LIBRARIES)
    assert os.listdir(str(home / "python" / "pygpu")) == ["__init__.py"]
    path = (packages / "cuda.pth").read_text()
    assert os.path.samefile(str(packages / path.rstrip("\n")), str(home / "python"))

    def fetch_nothing(name, digest, urls):
        raise LookupError("http://mirror.example: not found")

    monkeypatch.setattr(fetch_pygpu, "fetch", fetch_nothing)
    with pytest.raises(SystemExit, match="http://mirror.example: not found"):
        fetch_pygpu.main(str(scratch), str(home))


# -------------------------------------------------------------------------------------------------------- self_test

@pytest.fixture(scope="module")
def self_test():
    return load("self_test")


def test_scan_gradient_agrees_with_finite_differences(self_test):
    def last_sum(values):
        total = np.zeros(3)
        for row in values:
            total = np.tanh(total + row)
        return total.sum()

    values = np.random.RandomState(2).randn(4, 3)
    gradient = self_test.scan_gradient(values)
    for index in np.ndindex(values.shape):
        step = np.zeros_like(values)
        step[index] = 1e-5
        difference = (last_sum(values + step) - last_sum(values - step)) / 2e-5
        assert abs(gradient[index] - difference) < 1e-9


def test_self_test_reports_the_versions(self_test):
    import theano
    line = self_test.self_test()
    assert line.startswith("Theano %s, Lasagne " % theano.__version__) and "; BLAS: " in line and "\n" not in line


def test_self_test_reports_a_wrong_result(self_test, monkeypatch):
    monkeypatch.setattr(self_test, "scan_gradient", lambda values: np.ones_like(values))
    with pytest.raises(RuntimeError, match="^self-test failed: the gradient of theano.scan differs from NumPy$"):
        self_test.self_test()
