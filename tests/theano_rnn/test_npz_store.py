"""Files of named arrays: complete, the same bytes for the same content, and clear error messages."""

import json
import os
import zipfile

from theano_rnn import npz_store as arrays_module
from theano_rnn import numpy_predictor
from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, save_arrays, write_atomically, write_together

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ARRAYS = {"lstm.W_in": np.arange(12, dtype=np.float32).reshape(3, 4), "epoch": np.array(7),
          "words": np.array(["caf\u00e9", "</s>"]), "mask": np.array([True, False]), "none": np.zeros((0, 5))}
METADATA = {"config": "LLLCCL", "words": ["caf\u00e9", "a\nb"], "nested": {"rate": 5e-4, "best": None}}

in_files = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
dtypes = st.sampled_from(["float32", "float64", "int32", "int64", "uint8", "uint32", "bool", "<U3"])
names = st.text("abcW_./", min_size=1, max_size=6).filter(lambda name: name != "metadata.json")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "file.npz")


def read(path):
    with open(path, "rb") as stream:
        return stream.read()


def write(path, content):
    with open(path, "wb") as stream:
        stream.write(content)


def assert_same(loaded, expected):
    assert sorted(loaded) == sorted(expected)
    for name, array in expected.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("compress", [False, True])
def test_round_trip(path, compress):
    save_arrays(path, ARRAYS, METADATA, compress=compress)
    loaded, metadata = load_arrays(path)
    assert_same(loaded, ARRAYS)
    assert metadata == METADATA


def test_round_trip_of_any_arrays(path):
    shapes = st.lists(st.integers(0, 3), max_size=3)

    @in_files
    @given(st.dictionaries(names, st.tuples(dtypes, shapes), max_size=4), st.integers(0, 99), st.booleans(),
           st.booleans())
    def check(kinds, seed, compress, transposed):
        rng, content = np.random.RandomState(seed), {}
        for name, (dtype, shape) in kinds.items():
            array = np.asarray(100 * rng.randn(*shape)).astype(dtype)
            content[name] = array.T if transposed else array
        save_arrays(path, content, compress=compress)
        loaded, metadata = load_arrays(path)
        assert_same(loaded, content)
        assert metadata == {}

    check()


def test_numpy_reads_it_too(path):
    save_arrays(path, ARRAYS)
    with np.load(path) as archive:
        np.testing.assert_array_equal(archive["lstm.W_in"], ARRAYS["lstm.W_in"])


def test_same_content_is_the_same_bytes(path, tmp_path):
    other = str(tmp_path / "elsewhere.npz")
    save_arrays(path, ARRAYS, METADATA, compress=True)
    os.utime(path, (0, 0))
    backwards = dict(reversed(list(ARRAYS.items())))
    save_arrays(other, backwards, dict(reversed(list(METADATA.items()))), compress=True)
    assert read(path) == read(other)
    save_arrays(other, dict(ARRAYS, epoch=np.array(8)), METADATA, compress=True)
    assert read(path) != read(other)


def test_deflated_is_smaller(path):
    zeros = {"W": np.zeros((100, 100))}
    save_arrays(path, zeros)
    stored = os.path.getsize(path)
    assert stored > 80000
    save_arrays(path, zeros, compress=True)
    assert os.path.getsize(path) < stored / 20


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupted_write_leaves_the_old_file(path, tmp_path, monkeypatch, step):
    def interrupted(*_):
        raise Interrupted

    save_arrays(path, ARRAYS, METADATA)
    before = read(path)
    monkeypatch.setattr(arrays_module.os, step, interrupted)
    with pytest.raises(Interrupted):
        save_arrays(path, {"epoch": np.array(8)})
    assert read(path) == before
    assert os.listdir(str(tmp_path)) == ["file.npz"]


def test_a_failed_save_leaves_the_old_file(path, tmp_path):
    save_arrays(path, ARRAYS, METADATA)
    before = read(path)
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        save_arrays(path, {"code": np.array([{}, []], dtype=object)})
    with pytest.raises(TypeError, match="JSON serializable"):
        save_arrays(path, ARRAYS, {"code": len})
    assert read(path) == before
    assert os.listdir(str(tmp_path)) == ["file.npz"]


def test_text_is_written_as_utf8(tmp_path):
    path = str(tmp_path / "words.txt")
    write_atomically(path, "caf\u00e9\n")
    assert read(path) == b"caf\xc3\xa9\n"
    write_atomically(path, b"\x00\xff")
    assert read(path) == b"\x00\xff"


def test_a_symbolic_link_stays_one(tmp_path):
    folder, link = tmp_path / "large_disk", tmp_path / "words.txt"
    folder.mkdir()
    link.symlink_to("large_disk/words.txt")
    for content in (b"old", b"new"):
        write_atomically(str(link), content)
        assert link.is_symlink()
        assert read(str(folder / "words.txt")) == content
    assert os.listdir(str(folder)) == ["words.txt"]


def test_of_files_that_belong_together_none_is_replaced_if_one_cannot_be_written(tmp_path):
    code, header = str(tmp_path / "model.c"), str(tmp_path / "missing" / "model.h")
    write_atomically(code, b"old")
    with pytest.raises(OSError) as caught:
        write_together([(code, b"new"), (header, b"new")])
    assert caught.value.filename == header
    assert (os.listdir(str(tmp_path)), read(code)) == (["model.c"], b"old")


def test_missing_file(path):
    with pytest.raises(ReportedError) as error:
        load_arrays(path, "checkpoint")
    assert str(error.value) == "checkpoint not found: " + path
    with pytest.raises(ReportedError, match="file not found"):
        load_arrays(os.path.dirname(path))          # a folder is no file


def assert_damaged(path, what="checkpoint"):
    with pytest.raises(ReportedError) as error:
        load_arrays(path, what)
    message = str(error.value)
    assert message.startswith("%s %s is damaged or of another format (" % (what, path))
    assert message.endswith("); recreate it or use another copy")
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("kept", [0, 1, 100, -1, -30])
def test_truncated_file(path, kept):
    save_arrays(path, ARRAYS, METADATA)
    write(path, read(path)[:kept])
    assert "not a zip file" in assert_damaged(path)


@pytest.mark.parametrize("content", [b"epoch,loss\n1,0.5\n", b"\x93NUMPY", b"PK\x03\x04" + 100 * b"\x00"])
def test_foreign_file(path, content):
    write(path, content)
    assert "not a zip file" in assert_damaged(path)


def test_foreign_archives(path):
    np.savez(path, W=np.zeros(3))
    assert "it has no member metadata.json" in assert_damaged(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello, world")
        archive.writestr("metadata.json", "{}")
    assert "magic string is not correct" in assert_damaged(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{")
    assert_damaged(path)


def test_arrays_of_objects_are_not_loaded(path):
    np.savez(path, code=np.array([{}], dtype=object))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", json.dumps({}))
    assert "Object arrays cannot be loaded" in assert_damaged(path)


def write_member(path, name, content, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr(name, content)


def npy_header(shape, dtype="<f4"):
    text = "{'descr': %r, 'fortran_order': False, 'shape': %s, }" % (dtype, shape)
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("ascii")


@pytest.mark.parametrize("header, message", [
    (npy_header((400000000,)), "W.npy has 140 bytes, expected 1600000128 for shape"),
    (npy_header((-2, -3)), "has dtype float32 and shape"), (npy_header((10 ** 18,), "<U0"), "has dtype <U0 and shape"),
    (npy_header((3,), "<M8[s]"), "has dtype datetime64"), (npy_header((1,)), "has 140 bytes, expected 132 for shape"),
    (npy_header((3,)).replace(b"NUMPY\x01", b"NUMPY\x02"), "is not an array of the format 1.0"),
    (npy_header("'x'"), "W.npy has a damaged header"),
    (npy_header((3,)).replace(b"descr", b"other"), "W.npy has a damaged header"),
    (npy_header((3,)).replace(b"}", b"{"), "W.npy has a damaged header"),
])
def test_headers_that_do_not_fit_are_found_before_arrays_are_read(path, header, message, monkeypatch):
    write_member(path, "W.npy", header + b"\x00" * 12)
    monkeypatch.setattr(np.lib.format, "read_array", None)
    assert message in assert_damaged(path)


def test_a_file_that_expands_too_much(path, monkeypatch):
    write_member(path, "W.npy", npy_header((10 ** 6,)) + b"\x00" * (4 * 10 ** 6), zipfile.ZIP_DEFLATED)
    assert load_arrays(path)[0]["W"].shape == (10 ** 6,)
    monkeypatch.setattr(numpy_predictor, "EXPANDED_BYTES", 10 ** 6)
    monkeypatch.setattr(np.lib.format, "read_array", None)
    assert " bytes expand to 4000" in assert_damaged(path)


def test_two_members_of_one_name(path):
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "w") as archive:
        for _ in range(2):
            archive.writestr("metadata.json", "{}")
    assert "two members have the same name" in assert_damaged(path)


def test_a_caller_checks_headers_before_arrays_are_read(path, monkeypatch):
    save_arrays(path, ARRAYS, METADATA)
    monkeypatch.setattr(np.lib.format, "read_array", None)

    def check(headers, metadata):
        assert {name: (header.shape, header.dtype) for name, header in headers.items()} \
            == {name: (array.shape, array.dtype) for name, array in ARRAYS.items()}
        raise ReportedError("wanted other arrays than those of " + metadata["config"])
    with pytest.raises(ReportedError, match="^wanted other arrays than those of LLLCCL$"):
        load_arrays(path, check=check)
    assert arrays_module.load_metadata(path) == METADATA


@pytest.mark.parametrize("text", ["[]", "3", "[" * 100000, "\xff"], ids=["list", "number", "nested", "latin-1"])
def test_metadata_of_another_kind(path, text):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", text.encode("latin-1"))
    assert_damaged(path)


def test_a_damaged_byte_is_found_or_harmless(path):
    arrays, contents = {"W": np.arange(6.), "b": np.zeros(2)}, {}
    for compress in (False, True):
        save_arrays(path, arrays, METADATA, compress=compress)
        contents[compress] = read(path)

    @settings(in_files, max_examples=300)
    @given(st.booleans(), st.integers(0, 10 ** 4), st.integers(1, 255))
    def check(compress, position, change):
        content = bytearray(contents[compress])
        content[position % len(content)] ^= change
        write(path, bytes(content))
        try:
            loaded, metadata = load_arrays(path)
        except ReportedError:
            return
        assert_same(loaded, arrays)                 # dates, permissions and the like may change unnoticed
        assert metadata == METADATA

    check()
