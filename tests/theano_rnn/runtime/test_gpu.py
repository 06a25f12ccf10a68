"""Choice and refusal of GPUs, with a simulated driver, because the test machine has none."""

import os

from theano_rnn.errors import ReportedError
from theano_rnn.runtime import configuration, gpu

import pytest
from helpers import running


class Driver:
    """A simulated driver: the functions of libcuda and NVRTC that are called."""

    def __init__(self, capabilities, knows=12010, status=0):
        self.capabilities, self.knows, self.status = capabilities, knows, status

    def cuInit(self, flags):
        return self.status

    def cuGetErrorName(self, status, text):
        text._obj.value = b"CUDA_ERROR_%d" % status

    def cuDriverGetVersion(self, version):
        version._obj.value = self.knows
        return 0

    def cuDeviceGetCount(self, count):
        count._obj.value = len(self.capabilities)
        return 0

    def cuDeviceGetName(self, name, size, number):
        name.value = b"GPU of the tests"

    def cuDeviceGetAttribute(self, value, attribute, number):
        value._obj.value = self.capabilities[number][attribute - 75]
        return 0

    def nvrtcVersion(self, major, minor):
        major._obj.value, minor._obj.value = 12, 1

    def nvrtcGetNumSupportedArchs(self, count):
        count._obj.value = 3
        return 0

    def nvrtcGetSupportedArchs(self, values):
        values[:] = [50, 80, 90]


@pytest.fixture
def drive(monkeypatch):
    """Let this process find the simulated driver."""
    def see(*arguments, **settings):
        driver = Driver(*arguments, **settings)
        monkeypatch.setattr(gpu, "load_backend", lambda: None)
        monkeypatch.setattr(gpu, "load_cuda", lambda: (driver, driver))
    return see


@pytest.mark.parametrize("device, number", [("cuda", 1), ("cuda1", 1), ("cuda2", 2)])
def test_the_first_that_can_be_used_or_the_one_named(drive, device, number):
    drive([(3, 5), (9, 0), (5, 0)])
    assert gpu.choose_gpu(device).number == number
    assert gpu.auto_device()[0] == "cuda1"


@pytest.mark.parametrize("settings, device, message", [
    (dict(capabilities=[]), "cuda", "the NVIDIA driver shows no GPU (CUDA_VISIBLE_DEVICES"),
    (dict(capabilities=[], status=100), "cuda", "the NVIDIA driver shows no GPU"),
    (dict(capabilities=[(9, 0)], status=999), "cuda",
     "does not work (cuInit: CUDA_ERROR_999); test it with nvidia-smi"),
    (dict(capabilities=[(9, 0)], knows=11040), "cuda", "driver supports CUDA 11.4, but NVRTC compiles for 12.1"),
    (dict(capabilities=[(9, 0)]), "cuda3",
     "cuda3 not found; available: GPU of the tests (cuda0, compute capability 9.0)"),
    (dict(capabilities=[(3, 5)]), "cuda0", "is too old for this NVRTC, which begins at compute capability 5.0"),
    (dict(capabilities=[(9, 5)]), "cuda0", "is too new for this NVRTC, which ends at compute capability 9.0"),
])
def test_reasons_for_refusing_a_gpu(drive, settings, device, message):
    drive(**settings)
    with pytest.raises(ReportedError) as error:
        gpu.choose_gpu(device)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("capability", [(10, 0), (12, 0)])
def test_a_gpu_newer_than_nvrtc_gets_the_code_of_hopper(drive, capability):
    drive([capability])
    assert gpu.choose_gpu("cuda").capability == capability


def test_auto_takes_the_cpu_where_no_gpu_can_be_used(drive):
    drive([(3, 5)])
    device, reason = gpu.auto_device()
    assert device == "cpu" and "too old" in reason


def test_without_the_back_end_the_set_up_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "FOLDER", str(tmp_path))
    with pytest.raises(ReportedError, match="the CUDA back-end is not in .*; ./setup_env.sh --cuda adds it"):
        gpu.choose_gpu("cuda")
    assert gpu.auto_device()[0] == "cpu"


def test_auto_says_what_it_took_and_why(drive, monkeypatch, capsys):
    monkeypatch.setenv("THEANO_FLAGS", "")
    drive([(9, 0)])
    assert configuration.resolve_device("auto") == "cuda0"
    drive([(3, 5)])
    assert configuration.resolve_device("auto") == "cpu"
    first, second = capsys.readouterr().err.splitlines()
    assert first == "device cuda0: GPU of the tests (cuda0, compute capability 9.0)"
    assert second.startswith("device cpu: GPU of the tests (cuda0, compute capability 3.5) is too old")


@pytest.mark.parametrize("flags, asked, expected", [
    ("", "cpu", "cpu"), ("", "auto", "cuda1"), ("", "cuda", "cuda1"), ("", "cuda2", "cuda2"),
    ("device=cpu", "cuda", "cpu"), ("floatX=float64, device=cuda2", "cpu", "cuda2"),
    ("init_gpu_device=cuda2", "cpu", "cpu"),
])
def test_a_device_in_the_flags_of_theano_wins(drive, monkeypatch, flags, asked, expected):
    drive([(3, 5), (9, 0), (5, 0)])
    monkeypatch.setenv("THEANO_FLAGS", flags)
    assert configuration.resolve_device(asked) == expected


@pytest.mark.parametrize("experiment, script, arguments", [
    ("IMDB", "main.py", ["LLLCCL"]), ("IMDB", "run_compressed.py", []),
    ("Word_PTB", "main.py", ["--eval-only", "nothing"]),
    ("language_modeling", "main.py", []), ("language_modeling", "finetune.py", []),
    ("language_modeling", "main_overfit.py", []), ("sequence_labeling", "main.py", []),
])
@pytest.mark.parametrize("device, message", [
    ("cuda99", ""), ("gpu", "must be cpu, auto, cuda, or cuda0 (or another number), got 'gpu'"),
])
def test_every_entry_point_refuses_a_missing_gpu(without_theano, experiment, script, arguments, device, message):
    arguments = arguments + ["--device", device]
    status, output, errors = running.run(running.script(experiment, script), arguments, PYTHONPATH=without_theano,
                                         THEANO_FLAGS="")
    assert (status, output, errors.count("\n")) == (2, "", 1), errors
    assert errors.startswith("error: ") and message in errors


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="this machine has an NVIDIA GPU")
def test_a_gpu_that_is_not_there_is_refused_before_theano_is_imported(without_theano):
    code = ("from theano_rnn.errors import ReportedError\nfrom theano_rnn.runtime import configuration\n"
            "try:\n    configuration.configure('cuda')\nexcept ReportedError as error:\n    print(error)\n")
    process = running.start_python(code, PYTHONPATH=without_theano, THEANO_FLAGS="")
    status, output, errors = running.wait(process)
    assert status == 0, errors
    assert output.count("\n") == 1, output
    assert "./setup_env.sh --cuda" in output or "no NVIDIA driver found" in output
