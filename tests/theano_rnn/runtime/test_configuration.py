"""The configuration of Theano, each case in a separate process."""

import os
import platform

import pytest
from helpers import running

NAMES = ("THEANO_FLAGS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE")
ON_X86 = platform.machine() in ("x86_64", "AMD64") and platform.libc_ver()[0] == "glibc"


def python(code, status=0, **environment):
    """Run code after the configuration; return its output lines. `status` is the expected exit status."""
    process = running.start_python("from theano_rnn.runtime import configuration\n" + code,
                                   **dict(dict.fromkeys(NAMES), **environment))
    ended, output, errors = running.wait(process)
    assert ended == status, errors
    return output.splitlines()


CONFIGURED = "configuration.configure()\nimport os\n"


def test_theano_gets_single_precision_on_the_cpu_and_all_cores():
    lines = python(CONFIGURED + "import theano\nprint(theano.config.floatX, theano.config.device)\n"
                   "print(theano.config.gcc.cxxflags)\nprint(os.environ['OMP_NUM_THREADS'])\n"
                   "print(os.environ['OPENBLAS_NUM_THREADS'])\nprint(len(os.sched_getaffinity(0)))")
    assert lines[0] == "float32 cpu"
    assert "-O3" in lines[1] and "-ffast-math" not in lines[1]
    assert lines[2] == lines[3] == lines[4]


@pytest.mark.core
def test_flags_of_the_user_win():
    lines = python(CONFIGURED + "import theano\nprint(theano.config.floatX)\nprint(theano.config.gcc.cxxflags)\n"
                   "print(theano.config.optimizer)",
                   THEANO_FLAGS="floatX=float64,gcc.cxxflags=-O1,optimizer=None")
    assert lines == ["float64", "-O1", "None"]


def test_empty_flags_of_the_user_leave_no_trace():
    assert not python(CONFIGURED + "print(os.environ['THEANO_FLAGS'])", THEANO_FLAGS="")[0].endswith(",")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_the_memory_of_freed_arrays_is_used_again():
    code = (CONFIGURED + "import resource\nimport numpy as np\n"
            "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
            "np.ones(2 ** 24, dtype='float32')\nbefore = faults()\nnp.ones(2 ** 24, dtype='float32')\n"
            "print(faults() - before)")
    assert int(python(code)[-1]) < 10       # 64 MB are 16,384 pages, or 32 huge ones


@pytest.mark.parametrize("of_user, expected", [
    (dict(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="3"), "1 3"),
    (dict(OMP_NUM_THREADS="1"), "1 1"),
])
def test_threads_of_the_user_win_also_in_products(of_user, expected):
    assert python(CONFIGURED + "print(os.environ['OMP_NUM_THREADS'], os.environ['OPENBLAS_NUM_THREADS'])",
                  **of_user) == [expected]


def test_threads_that_theano_refuses_are_reported():
    code = ("from theano_rnn.errors import reported_errors\nwith reported_errors():\n    configuration.configure()")
    process = running.start_python("from theano_rnn.runtime import configuration\n" + code, OMP_NUM_THREADS="4,2")
    ended, _, errors = running.wait(process)
    assert ended == 2 and errors.startswith(
        "error: the environment variable OMP_NUM_THREADS must be one whole number, got '4,2'")


@pytest.mark.parametrize("flags, settings, message", [
    ("floatX=float99", "", 'Invalid value ("float99") for configuration variable "floatX".'),
    ("", "floatX = float64", "File contains no section headers."),
])
def test_settings_that_theano_refuses_are_reported(tmp_path, flags, settings, message):
    (tmp_path / "theanorc").write_text(settings)
    code = "from theano_rnn.errors import reported_errors\nwith reported_errors():\n    configuration.configure()"
    process = running.start_python("from theano_rnn.runtime import configuration\n" + code, THEANO_FLAGS=flags,
                                   THEANORC=str(tmp_path / "theanorc"))
    ended, _, errors = running.wait(process)
    assert ended == 2 and errors.count("\n") == 1
    assert errors.startswith("error: Theano refuses a setting in THEANO_FLAGS or %s" % tmp_path) and message in errors


def test_only_the_processors_it_may_use_count():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no processor affinity here")
    lines = python("import os\nos.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n" + CONFIGURED +
                   "print(os.environ['OMP_NUM_THREADS'])")
    assert lines == ["1"]


def test_kernels_chosen_by_the_user_are_kept():
    assert python(CONFIGURED + "print(os.environ['OPENBLAS_CORETYPE'])", OPENBLAS_CORETYPE="Sandybridge") \
        == ["Sandybridge"]


def test_kernels_that_fit_the_processor_are_chosen():
    chosen, fitting = python(CONFIGURED + "print(os.environ.get('OPENBLAS_CORETYPE'))\n"
                             "print(configuration.openblas_coretype())")
    assert chosen == fitting
    assert fitting in ("None", "SkylakeX", "Haswell")


def test_an_unsupported_interpreter_is_one_line(monkeypatch):
    from theano_rnn.errors import ReportedError
    from theano_rnn.runtime import configuration
    for version in ((3, 6, 15), (3, 9), (3, 11, 9)):
        configuration.check_interpreter(version)
    for version in ((2, 7), (3, 5), (3, 12), (3, 13, 0)):
        with pytest.raises(ImportError) as error:
            configuration.check_interpreter(version)
        assert isinstance(error.value, ReportedError)
        assert str(error.value) == "Theano needs CPython 3.6 to 3.11, but this is Python %d.%d" % version[:2]
    monkeypatch.setattr(configuration, "SUPPORTED_PYTHON", ((3, 0), (3, 1)))
    monkeypatch.setattr(configuration, "_configured", False)
    for function in (configuration.configure, configuration.ensure_configured):
        with pytest.raises(ImportError, match="Theano needs CPython 3.0 to 3.1, but this is Python"):
            function()


def test_refuses_when_theano_is_there_already():
    lines = python("import sys, types\nsys.modules['theano'] = types.ModuleType('theano')\n"
                   "try:\n    configuration.configure()\nexcept RuntimeError as error:\n    print(error)")
    assert lines == ["configuration.configure() must run before Theano is imported"]


@pytest.mark.skipif(not ON_X86, reason="only x86-64 with glibc has the switch")
def test_denormal_numbers_become_zero():
    product = "import numpy\nx = numpy.full(8, 1e-21, dtype='float32')\nprint((x * x).max())"
    assert float(python(product)[0]) > 0
    assert float(python(CONFIGURED + product)[0]) == 0


@pytest.mark.skipif(not ON_X86, reason="only x86-64 with glibc has the switch")
def test_denormal_numbers_become_zero_in_new_threads_and_normal_ones_stay():
    lines = python(CONFIGURED + "import numpy, threading\nx = numpy.full(8, 1e-21, dtype='float32')\n"
                   "def product():\n    print((x * x).max())\n"
                   "thread = threading.Thread(target=product)\nthread.start()\nthread.join()\n"
                   "print(float((x * numpy.float32(1e-16)).min()))")
    assert float(lines[0]) == 0
    assert float(lines[1]) == pytest.approx(1e-37, rel=1e-5)


def test_numbers_that_are_not_finite_are_noticed_by_compiled_code():
    lines = python(CONFIGURED + "import theano, numpy\nx = theano.tensor.vector()\n"
                   "f = theano.function([x], theano.tensor.isnan(theano.tensor.log(x) * 2))\n"
                   "print(f(numpy.array([-1, 1], dtype='float32')).astype(int).tolist())")
    assert lines == ["[1, 0]"]


# CPython 3.11 is pretended where another one runs the tests.
ON_311 = "configuration.ON_311 = True\n"


def test_scan_runs_in_python_where_its_c_file_does_not_compile():
    lines = python(ON_311 + CONFIGURED + "import theano\nfrom theano.scan_module.scan_op import Scan\n"
                   "x = theano.tensor.vector()\n"
                   "y = theano.scan(lambda a, b: a + 2 * b, x, theano.tensor.zeros(()))[0]\n"
                   "f = theano.function([x], [y, theano.grad(y.sum(), x)])\n"
                   "print([numbers.tolist() for numbers in f([1, 2, 3])])\n"
                   "print({thunk.perform.__name__ for node, thunk in zip(f.fn.nodes, f.fn.thunks)"
                   " if isinstance(node.op, Scan)})")
    assert lines == ["[[1.0, 4.0, 11.0], [7.0, 3.0, 1.0]]", "{'execute'}"]


def test_theano_multiplies_without_openblas_where_it_finds_no_default():
    lines = python(ON_311 + "configuration.can_link_openblas = lambda: False\n" + CONFIGURED + "import theano\n"
                   "x = theano.tensor.matrix()\nprint(repr(theano.config.blas.ldflags))\n"
                   "print(theano.function([x], theano.tensor.dot(x, x))([[2]]))")
    assert lines == ["''", "[[4.]]"]


def test_numpy_says_nothing_of_numbers_that_become_zero():
    assert python("import warnings\nwarnings.simplefilter('error', UserWarning)\n" + CONFIGURED +
                  "import numpy\nprint(numpy.finfo('float16').bits, numpy.finfo('float32').bits)") == ["16 32"]
