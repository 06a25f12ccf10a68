"""Configure Theano for all tests before anything imports it; fixtures that many test files use."""

import os

from theano_rnn.runtime import configuration, flags

import pytest
from helpers.shared_modules import share_modules

#: Compiling Theano's own operations takes a third less time. tests/theano_rnn/ops, tests/cuda and the tests of golden
#: values use the flags of the project.
FASTER_TO_COMPILE = configuration.COMPILER_FLAGS.replace("-O3", "-O1")


def _configure():
    """Configure Theano. With pytest-xdist, give each worker process its share of the cores and a cache of its own.

    Theano locks the cache while it compiles: workers with one cache would wait for each other.
    """
    if "gcc.cxxflags" not in flags.flags_of_user():
        flags.add_flag("gcc.cxxflags", FASTER_TO_COMPILE)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        configuration.configure()
        return
    share = max(1, len(os.sched_getaffinity(0)) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(share)
    cache = os.path.expanduser(flags.flags_of_user().get("base_compiledir", "~/.theano"))
    if worker != "gw0":
        flags.add_flag("base_compiledir", os.path.join(cache, worker))
    configuration.configure()
    if share == 1:              # else modules are compiled in parallel, in another way
        share_modules(os.path.join(cache, "shared"))


_configure()


@pytest.hookimpl(tryfirst=True)          # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Tell ``pytest -n 2 --dist loadgroup`` which tests one process must run, because they share compiled functions.

    Each file is a group. The files that use the fixture `finished`, which trains the tiny runs, are one group. Each
    example is one: groups of few tests come last, and three long tests in one process would keep the others waiting.
    """
    sharing = {item.location[0] for item in items if "finished" in getattr(item, "fixturenames", ())}
    for item in items:
        file_name = item.location[0]
        group = item.nodeid if file_name.startswith("tests/examples/") else file_name
        item.add_marker(pytest.mark.xdist_group("finished runs" if file_name in sharing else group))


def pytest_addoption(parser):
    parser.addoption("--golden-dir", default=os.path.join(os.path.dirname(__file__), "golden"),
                     help="folder with bayes_rnn/*.npz and other golden values (default: tests/golden)")


@pytest.fixture(scope="session")
def without_theano(tmp_path_factory):
    """A folder for PYTHONPATH with a module theano that ends the process with status 99 when imported."""
    folder = tmp_path_factory.mktemp("fake")
    (folder / "theano").mkdir()
    (folder / "theano" / "__init__.py").write_text(u"import os\nos.write(2, b'theano was imported')\nos._exit(99)\n")
    return str(folder)


@pytest.fixture(scope="module")
def flags_of_the_project():
    """The C++ compiler's flags of the project for all tests of a module, instead of those that compile faster."""
    import theano
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theano.config.gcc, "cxxflags", configuration.COMPILER_FLAGS)
        yield


@pytest.fixture
def float64():
    """Double precision, for comparisons with exact values."""
    from helpers.networks import floatx
    with floatx("float64"):
        yield


@pytest.fixture(scope="module")
def double_precision():
    """Double precision for all tests of a module, and for the functions that its module fixtures compile."""
    from helpers.networks import floatx
    with floatx("float64"):
        yield


@pytest.fixture
def restored_precision():
    """Restore `theano.config.floatX` after a test that changes it."""
    import theano
    before = theano.config.floatX
    yield
    theano.config.floatX = before


@pytest.fixture
def seeded():
    """Seed Lasagne's initialisers: they draw the same numbers in every test."""
    from theano_rnn.lasagne_compat import lasagne

    import numpy as np
    before = lasagne.random.get_rng()
    lasagne.random.set_rng(np.random.RandomState(1))
    yield
    lasagne.random.set_rng(before)


@pytest.fixture
def reference_backend(monkeypatch):
    """Reference implementations of all operations, in Python: nothing is compiled, not even for constant folding.

    Compiling a module takes seconds, and these tests compute on a few numbers.
    """
    import theano
    from helpers.backends import UNOPTIMISED, compile_random_streams
    from theano.compile import mode
    compile_random_streams()
    monkeypatch.setenv("THEANO_RNN_BACKEND", "reference")
    monkeypatch.setattr(theano.config, "cxx", "")
    monkeypatch.setattr(theano.config, "mode", "FAST_COMPILE")
    # Theano caches its default mode, and recognises a change of config.mode only if the class differs.
    monkeypatch.setattr(mode, "instantiated_default_mode", UNOPTIMISED, raising=False)


@pytest.fixture(scope="module")
def only_fused_in_c():
    """Python code for Theano's own operations in all tests of a module; only our fused operations are compiled."""
    from helpers.backends import theano_in_python
    with theano_in_python():
        yield
