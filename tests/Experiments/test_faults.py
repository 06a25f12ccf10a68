"""The part of the campaign of faults that takes seconds: files and settings, without training. See tests/faults."""

import io
import itertools
import mmap
import random
import sys
import time
import zipfile

import pytest
from faults import campaign, damage, verdicts
from faults.valid_inputs import World

CLASSES = ("models", "configs", "prepared", "archives", "texts", "vectors", "settings")


@pytest.fixture(scope="module")
def world(tmp_path_factory, data, finished):
    return World(str(tmp_path_factory.mktemp("world")), data, finished, programs=("IMDB", "Word_PTB"))


@pytest.mark.parametrize("name", CLASSES)
def test_no_fault_has_another_end_than_one_line_or_the_same_result(world, name):
    counts, failures = campaign.try_class(name, world, seed=20261128, count=15)
    assert failures == []
    assert counts[verdicts.REFUSED] > 0 and sum(counts.values()) == 15


def _verdict(action, may=verdicts.ANY, expected=None, check=None):
    return verdicts.try_case(verdicts.Case("a case", lambda folder: action(), may, expected, check))


def _refuse(text="error: a reason\n", status=2):
    sys.stderr.write(text)
    sys.exit(status)


@pytest.mark.parametrize("action, may, reason", [
    (lambda: 1 / 0, verdicts.ANY, "status 1: ZeroDivisionError"), (lambda: _refuse(status=1), verdicts.ANY, "status 1"),
    (lambda: _refuse("error: two\nlines\n"), verdicts.ANY, "2 lines"), (lambda: None, verdicts.NEVER, "accepted"),
    (_refuse, verdicts.MUST, "a valid case is refused"), (lambda: "y", verdicts.SAME, "accepted with another result"),
    (lambda: _refuse("error: not enough memory (x)\n"), verdicts.ANY, "needs too much memory")])
def test_what_the_judge_calls_a_failure(action, may, reason):
    verdict = _verdict(action, may, "x")
    assert verdict.kind == verdicts.FAILED and verdict.reason.startswith(reason), verdict


def test_what_the_judge_accepts():
    assert _verdict(_refuse, verdicts.NEVER).kind == verdicts.REFUSED
    assert _verdict(lambda: _refuse("warning: w\nerror: e\n")).kind == verdicts.REFUSED
    assert _verdict(lambda: "x", verdicts.SAME, "x").kind == verdicts.SURVIVED
    assert _verdict(lambda: "y", verdicts.ANY, "x").kind == verdicts.ACCEPTED
    assert _verdict(lambda: "x", check=lambda folder: "left a file").reason == "left a file"


def test_the_judge_measures_memory_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr(verdicts, "MOST_MEMORY", 2.5 * 10 ** 8)
    # Not from the C library, which may have memory that this process has freed.
    assert _verdict(lambda: str(mmap.mmap(-1, 3 * 10 ** 8).write(bytes(3 * 10 ** 8)))).reason.startswith("takes 0.")
    ending = verdicts.in_child(lambda: time.sleep(9), str(tmp_path), longest=0.1)
    assert ending.status is None


def test_a_crafted_archive_has_one_more_member():
    content = damage.zeros_member(damage.npz_bytes({"x": damage.np.arange(3)}, {"a": 1}), "zeros.npy", 2 ** 25)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["x.npy", "metadata.json", "zeros.npy"]
        assert archive.read("zeros.npy") == bytes(2 ** 25) and len(content) < 10 ** 5


def test_the_same_seed_gives_the_same_cases(world):
    titles = [[case.title for case in itertools.islice(campaign.CLASSES["archives"](world, random.Random(seed)), 5)]
              for seed in (1, 1, 2)]
    assert titles[0] == titles[1] != titles[2]
    rows = campaign.table({"archives": {verdicts.REFUSED: 3, verdicts.SURVIVED: 1, verdicts.ACCEPTED: 0,
                                        verdicts.FAILED: 0}})
    assert rows.splitlines()[2:] == ["| archives | 4 | 3 | 1 | 0 | 0 |", "| **all** | 4 | 3 | 1 | 0 | 0 |"]
