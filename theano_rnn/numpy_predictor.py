"""Prediction with a compressed model. This file needs NumPy only and no other file of the project: it can be copied.

Copy it beside your program, with the ``compressed.npz`` of a run::

    from numpy_predictor import load_model

    model = load_model("compressed.npz")
    model.predict(["a wonderful film", "a boring film"])        # classifier: probabilities, (texts, classes)
    model.metadata["classes"]                                   # the names of the columns
    model.cross_entropy("the company said")                     # language model: (nats per token, number of tokens)
    model.sample(20, seed=1, prompt="the company")              # language model: text

**Batches.** `ClassPredictor.predict` takes any number of texts and computes `BATCH` of them at once. Many texts per
call are faster than many calls.

**Threads.** A model does not change after loading. Any number of threads can use it. The matrix products of one call
use the threads of the BLAS of NumPy (``OMP_NUM_THREADS``).

**Memory.** The matrices are stored with all their zeros, in float32: 4 bytes per element. A batch needs up to 44 bytes
per text and hidden unit, 4 bytes per different word and input or gate, and 9 bytes per token.

Within the project, use `bayes_rnn.predictor`: it also finds models by name, and uses C code where it has been built.
This file is in the lowest package because the rest of the project shares its tokenizers (`theano_rnn.tokens`) and its
reading of files (`theano_rnn.npz_store`).
"""

import collections
import contextlib
import functools
import io
import itertools
import json
import operator
import os
import re
import struct
import zipfile
import zlib

import numpy as np

try:                                    # within the project, its command lines catch this class
    from theano_rnn.errors import ReportedError
except ImportError:
    class ReportedError(ValueError):
        """An error that the user can fix. The message states what is wrong, the value, and what is expected."""

__all__ = ["load_model", "Predictor", "ClassPredictor", "NextTokenPredictor", "ReportedError", "log_softmax",
           "load_arrays", "load_metadata", "ArrayHeader", "tokenize", "character_tokens", "word_tokens", "fnv1a",
           "fingerprint", "FINGERPRINT_BITS", "BATCH", "FORMAT", "METADATA_MEMBER", "SMALLEST_CHANGE",
           "LOWEST_TEMPERATURE", "GATE_NONLINEARITIES", "PADDING_WORD", "START_WORD", "OUTSIDE_WORD",
           "END_OF_DOCUMENT", "END_OF_LINE", "UNKNOWN_WORD", "SPACE_CHARACTER"]

#: Format of the files that the project writes. `load_model` also reads those of `FORMER_FORMATS`.
FORMAT = "bayes_rnn compressed model, version 2"
FORMER_FORMATS = ("bayes_rnn compressed model, version 1",)

#: Number of texts that `ClassPredictor.predict` computes at once.
BATCH = 256
#: Number of time steps whose scores `NextTokenPredictor.cross_entropy` computes at once.
STEPS = 64

#: A word counts if the probability of the predicted class changes by at least this number without it.
SMALLEST_CHANGE = 0.01


# -- text to tokens ----------------------------------------------------------------------------------------------------

# Special tokens of text classifiers.
PADDING_WORD, START_WORD, OUTSIDE_WORD, END_OF_DOCUMENT = "<padding>", "<start>", "<outside>", "</s>"
# Special tokens of language models.
END_OF_LINE, UNKNOWN_WORD = "<eos>", "<unk>"
# Represents a space in character-level language models.
SPACE_CHARACTER = "_"


def tokenize(text):
    """Return the words of a text, which are its runs of word characters: list of str.

    Examples
    --------
    >>> tokenize("It's <br />GOOD.")
    ['It', 's', 'br', 'GOOD']
    """
    return _find_words(text)


_find_words = re.compile(r"\w+", re.UNICODE).findall


def character_tokens(text):
    """Return the characters of a text, with lines stripped and ``_`` for spaces: list of str.

    Examples
    --------
    >>> character_tokens(" a b ")
    ['a', '_', 'b']
    """
    return list("\n".join(line.strip() for line in text.split("\n")).replace(" ", SPACE_CHARACTER))


def word_tokens(text):
    """Return the words of a text, separated by white space, with ``<eos>`` after every line: list of str.

    Examples
    --------
    >>> word_tokens("a b")
    ['a', 'b', '<eos>']
    """
    lines = text.split("\n")
    if not lines[-1].strip():
        lines.pop()
    return [token for line in lines for token in line.split() + [END_OF_LINE]]


# -- files of named arrays ---------------------------------------------------------------------------------------------

#: Shape and dtype of an array, read without the array.
ArrayHeader = collections.namedtuple("ArrayHeader", ["shape", "dtype"])

METADATA_MEMBER = "metadata.json"
# Files that expand to more than EXPANDED_BYTES must not expand to more than EXPANSION times their size. Deflate can
# compress zeros a thousand times; prepared data and models are compressed less than ten times.
EXPANDED_BYTES, EXPANSION = 2 ** 28, 100


def load_arrays(path, what="file", check=None):
    """Load a file that was written by `save_arrays`.

    Parameters
    ----------
    path : str
        The file.
    what : str
        Kind of the file, for error messages (``"checkpoint"``).
    check : callable, optional
        Called before an array is read, with the `ArrayHeader` of each array, by name, and the metadata. It raises a
        `ReportedError` if they are not what the caller expects. Foreign files can have arrays of any size.

    Returns
    -------
    arrays : dict of str to numpy.ndarray
    metadata : dict

    Raises
    ------
    ReportedError
        If the file is missing, damaged, or has another format.
    """
    with _opened(path, what) as archive:
        metadata = _read_metadata(archive)
        members = {info.filename[:-len(".npy")]: info for info in archive.infolist()
                   if info.filename != METADATA_MEMBER}
        headers = {name: _read_header(archive, info) for name, info in members.items()}
        if check is not None:
            check(headers, metadata)
        arrays = {name: np.lib.format.read_array(io.BytesIO(archive.read(info)), allow_pickle=False)
                  for name, info in members.items()}
        return arrays, metadata


def load_metadata(path, what="file"):
    """Load only the metadata of a file that was written by `save_arrays`; see `load_arrays`.

    Returns
    -------
    dict
    """
    with _opened(path, what) as archive:
        return _read_metadata(archive)


@contextlib.contextmanager
def _opened(path, what):
    """Context manager of a file as a `zipfile.ZipFile`, in which all errors of its content are reported."""
    if not os.path.isfile(path):
        raise ReportedError("%s not found: %s" % (what, path))
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, os.path.getsize(path))
            yield archive
    except ReportedError:
        raise
    except PermissionError as error:
        raise ReportedError("cannot read %s %s (%s); make it accessible" % (what, path, error.strerror)) from error
    # A damaged header can also look like a feature that zipfile does not support (RuntimeError and its subclasses).
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, KeyError, EOFError,
            OSError) as error:
        raise ReportedError("%s %s is damaged or of another format (%s); recreate it or use another copy"
                            % (what, path, error)) from error


def _check_members(archive, size):
    """Raise a `ValueError` if a file of a size has members that `save_arrays` does not write, or expands too much."""
    names = [info.filename for info in archive.infolist()]
    if len(set(names)) < len(names):
        raise ValueError("two members have the same name")
    expanded = sum(info.file_size for info in archive.infolist())
    if expanded > EXPANDED_BYTES and expanded > EXPANSION * size:
        raise ValueError("its %d bytes expand to %d" % (size, expanded))


def _read_header(archive, info):
    """Return the `ArrayHeader` of a member; raise a `ValueError` if it does not fit the size of the member."""
    with archive.open(info) as stream:
        start = stream.read(10)
        if np.lib.format.read_magic(io.BytesIO(start)) != (1, 0) or not info.filename.endswith(".npy"):
            raise ValueError("%s is not an array of the format 1.0" % info.filename)
        length, = struct.unpack("<H", start[8:])
        header = start[8:] + stream.read(length)
    try:
        shape, _, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(header))
    except Exception as error:          # NumPy's parser raises exceptions of many types, such as tokenize.TokenError
        raise ValueError("%s has a damaged header" % info.filename) from error
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    expected = len(start) + length + functools.reduce(operator.mul, shape, 1) * dtype.itemsize
    if dtype.kind not in "biufUS" or not dtype.itemsize or any(size < 0 for size in shape):
        raise ValueError("%s has dtype %s and shape %s" % (info.filename, dtype, shape))
    if info.file_size != expected:
        raise ValueError("%s has %d bytes, expected %d for shape %s" % (info.filename, info.file_size, expected, shape))
    return ArrayHeader(shape, dtype)


def _read_metadata(archive):
    if METADATA_MEMBER not in archive.namelist():
        raise ValueError("it has no member %s" % METADATA_MEMBER)
    metadata = json.loads(archive.read(METADATA_MEMBER).decode("utf-8"))
    if not isinstance(metadata, dict):
        raise ValueError("%s must hold an object" % METADATA_MEMBER)
    return metadata


# -- the network -------------------------------------------------------------------------------------------

#: Lower temperatures give the same samples, in which every token is the most probable one; but scores divided by them
#: would overflow.
LOWEST_TEMPERATURE = 1e-100

GATE_NONLINEARITIES = {
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "sigmoid": lambda x: 0.5 * np.tanh(0.5 * x) + 0.5,      # the logistic function, without overflow
}


#: Nonlinearity of the gates, computed as ``finish(a)``, in place, of ``a = scale * x + shift``. `Predictor` multiplies
#: the scale into the weights and adds the shift to the biases.
_Gate = collections.namedtuple("_Gate", ["scale", "shift", "finish"])


def _clip_to_unit(a):
    np.maximum(a, 0, out=a)
    np.minimum(a, 1, out=a)


def _logistic_of_negative(a):
    np.minimum(a, 80, out=a)                        # keeps exp finite; the result rounds to 0 in any case
    np.exp(a, out=a)
    a += 1
    np.divide(1, a, out=a)


def _tanh(x):
    """Compute tanh in place. NumPy vectorises exp on all processors, but not tanh."""
    if x.size < 1024:                               # for few elements, np.tanh is faster
        np.tanh(x, out=x)
        return
    x *= -2
    _logistic_of_negative(x)
    x *= 2
    x -= 1


_GATES = {"hard_sigmoid": _Gate(0.2, 0.5, _clip_to_unit), "sigmoid": _Gate(-1., 0., _logistic_of_negative)}


# -- the file of a model -----------------------------------------------------------------------------------------------

#: Numbers of dimensions of the arrays of all models.
_DIMENSIONS = {"W_in": 2, "W_hid": 2, "b": 1, "W_out": 2, "b_out": 1, "gate_is_computed": 1, "gate_constants": 1}
#: Matrices with more elements than the first number must have a nonzero value per `SPARSEST` elements.
SMALL_MATRIX, SPARSEST = 2 ** 24, 1000
#: Pruned words can be stored as fingerprints, numbers below 2 ** FINGERPRINT_BITS times the number of the words: about
#: one of so many words outside the vocabulary has the fingerprint of a pruned word.
FINGERPRINT_BITS = 6
#: Shared beginnings of words must not make them longer than this number of times their bytes in the file.
LONGEST_EXPANSION = 32


def load_model(path):
    """Load a compressed model.

    Parameters
    ----------
    path : str
        A file ``compressed.npz``.

    Returns
    -------
    ClassPredictor or NextTokenPredictor

    Raises
    ------
    ReportedError
        If the file is missing, damaged, or not a compressed model.

    Examples
    --------
    >>> from theano_rnn.numpy_predictor import load_model
    >>> model = load_model("Results/LLLCCL-demo/compressed.npz")      # doctest: +SKIP
    >>> model.predict(["a wonderful film"])                           # doctest: +SKIP
    array([[0.03, 0.97]], dtype=float32)
    """
    def check(headers, metadata):
        if metadata.get("format") not in (FORMAT,) + FORMER_FORMATS:
            raise ReportedError("%s is not a compressed model: its format must be %r or an earlier version, got %.40r "
                                "(run_compressed.py creates compressed models)"
                                % (path, FORMAT, metadata.get("format")))
        _check_metadata(metadata)
        _check_headers(headers, metadata)

    def unpack(packed, metadata):
        metadata = _unpacked_words(packed, metadata)
        return _unpacked(packed, metadata), metadata

    packed, metadata = load_arrays(path, "compressed model", _naming(path, check))
    arrays, metadata = _naming(path, unpack)(packed, metadata)
    return (ClassPredictor if metadata["kind"] == "text" else NextTokenPredictor)(arrays, metadata)


class _Damaged(Exception):
    """A part of a compressed model is not as described in `Predictor`."""


def _naming(path, function):
    """Return a function with reported errors that name the file."""
    def named(*arguments):
        try:
            return function(*arguments)
        except _Damaged as error:
            raise ReportedError("compressed model %s is damaged: %s" % (path, error)) from error
    return named


def _require(condition, message, *values):
    if not condition:
        raise _Damaged(message % values)


def _is_words(value):
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _check_metadata(metadata):
    """Raise `_Damaged` if the metadata are not as described in `Predictor`, except for words stored in arrays."""
    kind = metadata.get("kind")
    _require(kind in ("text", "characters", "words"), "kind must be text, characters or words, got %.40r", kind)
    _require(isinstance(metadata.get("config"), str), "config must be text")
    _require(isinstance(metadata.get("gate_nonlinearity"), str) and metadata["gate_nonlinearity"] in _GATES,
             "gate_nonlinearity must be one of %s", ", ".join(sorted(_GATES)))
    for name in ["classes"] if kind == "text" else ["vocabulary"]:
        _require_different(name, metadata.get(name))
    if "words" in metadata:
        _require_different("words", metadata["words"])
    if kind == "text":
        length = metadata.get("length")
        _require(type(length) is int and 1 <= length < 2 ** 31, "length must be a positive integer, got %.40r", length)
        _require(isinstance(metadata.get("lower_case"), bool), "lower_case must be true or false")
        _require(_is_words(metadata.get("pruned_words", [])), "pruned_words must be a list of words")
        _require(len(metadata["classes"]) >= 2, "classes must be at least two")
    else:
        _require(metadata["vocabulary"], "vocabulary must not be empty")
    stored = metadata.get("pruned_fingerprints")
    if stored is not None:
        valid = isinstance(stored, dict) and sorted(stored) == ["count", "range"] and all(
            type(number) is int for number in stored.values()) and 1 <= stored["count"] <= stored["range"] < 2 ** 32
        _require(valid and kind == "text" and "pruned_words" not in metadata,
                 "pruned_fingerprints must be their count and range, of a classifier without pruned_words")
    card = metadata.get("card", {})
    _require(isinstance(card, dict) and all(isinstance(text, str) for text in card.values()),
             "card must be an object of texts")


def _require_different(name, value):
    _require(_is_words(value) and len(set(value)) == len(value), "%s must be a list of different words", name)


def _check_headers(headers, metadata):
    """Raise `_Damaged` if the names, dtypes or dimensions of the arrays are wrong; the arrays are not read yet."""
    is_text = metadata["kind"] == "text"
    dimensions = dict(_DIMENSIONS, **({"embedding": 2} if is_text else {}))
    expected = {}
    for name, count in dimensions.items():
        values, kind = name, "b" if name == "gate_is_computed" else "f"
        for positions, letter in ((".positions", "u"), (".gaps", "g")):
            if count == 2 and name + positions in headers:
                expected.update({name + positions: (letter, 1), name + ".shape": ("i", 1)})
                values, count = name + ".values", 1
        if name + ".scales" in headers and dimensions[name] == 2:
            expected[name + ".scales"], kind = ("f", 1), "8"
        expected[values] = (kind, count)
    if "words" not in metadata and not is_text:
        expected["words.are_kept"] = ("b", 1)
    if metadata.get("pruned_fingerprints") is not None:
        expected["pruned_fingerprints"] = ("c", 1)
    elif "pruned_words" not in metadata and is_text and "pruned_words.shared" in headers:
        expected.update({"pruned_words.shared": ("c", 1), "pruned_words.rest": ("c", 1)})
    different = sorted(set(expected).symmetric_difference(headers))
    _require(not different, "it %s array %s", "lacks the" if different and different[0] in expected else
             "has the unknown", different[:1] and different[0])
    kinds = {"b": "bool", "f": "float16, float32 or float64", "u": "uint32", "i": "int64", "8": "int8",
             "g": "uint8, uint16 or uint32", "c": "uint8"}
    for name, (kind, count) in expected.items():
        header = headers[name]
        _require(str(header.dtype) in kinds[kind].replace(" or", ",").split(", ") and len(header.shape) == count,
                 "%s must be an array of %s with %d dimensions, got %s and shape %s", name, kinds[kind], count,
                 header.dtype, header.shape)
    floats = {str(headers[name].dtype) for name, (kind, _) in expected.items() if kind == "f"}
    _require(len(floats) == 1, "its arrays must have one dtype, got %s", " and ".join(sorted(floats)))
    _require("words" in metadata or not is_text, "words must be a list of different words")


def _unpacked_words(packed, metadata):
    """Return the metadata with the words that are stored in arrays; raise `_Damaged` if they are wrong."""
    metadata = dict(metadata)
    if "words.are_kept" in packed:
        is_kept, vocabulary = packed["words.are_kept"], metadata["vocabulary"]
        _require(len(is_kept) == len(vocabulary), "words.are_kept must have shape %s, got %s", (len(vocabulary),),
                 is_kept.shape)
        metadata["words"] = [vocabulary[index] for index in np.flatnonzero(is_kept)]
    if "pruned_words.shared" in packed:
        metadata["pruned_words"] = _front_decoded(packed["pruned_words.shared"], packed["pruned_words.rest"])
    if "pruned_fingerprints" in packed:
        count, limit = metadata["pruned_fingerprints"]["count"], metadata["pruned_fingerprints"]["range"]
        values = _rice_decoded(packed["pruned_fingerprints"], count, limit)
        metadata["pruned_fingerprints"] = {"range": limit, "values": values}
    return metadata


def _front_decoded(shared, rest):
    """Return words in front coding: each begins with ``shared`` characters of the word before, followed by its rest.

    Parameters
    ----------
    shared : numpy.ndarray of uint8 ``(words,)``
    rest : numpy.ndarray of uint8
        The rests of all words as UTF-8, separated by line feeds.
    """
    try:
        rests = rest.tobytes().decode("utf-8", "surrogatepass").split("\n") if len(shared) else []
    except UnicodeDecodeError as error:
        raise _Damaged("pruned_words.rest is not UTF-8 (%s)" % error) from None
    _require(len(rests) == len(shared), "pruned_words.rest must have %d words, got %d", len(shared), len(rests))
    size = len(shared) + len(rest)
    total = int(shared.sum(dtype=np.int64)) + len(rest)
    _require(total <= max(SMALL_MATRIX, LONGEST_EXPANSION * size), "its pruned words of %d bytes have %d characters",
             size, total)
    words, word = [], ""
    for count, end in zip(shared.tolist(), rests):
        _require(count <= len(word), "a pruned word shares %d characters with a word of %d", count, len(word))
        word = word[:count] + end
        words.append(word)
    return words


def _rice_decoded(code, count, limit):
    """Return increasing numbers in Rice coding: the differences, divided by 2 ** `FINGERPRINT_BITS`.

    Parameters
    ----------
    code : numpy.ndarray of uint8
        Bits, the highest first. For each number: as many ones as the quotient, a zero, the remainder. Zeros fill the
        last byte.
    count : int
        How many numbers.
    limit : int
        All numbers are smaller.

    Returns
    -------
    list of int
    """
    message = "pruned_fingerprints must be %d increasing numbers below %d"
    bits, shortest = 8 * len(code), count * (FINGERPRINT_BITS + 1)
    _require(shortest <= bits < shortest + (limit >> FINGERPRINT_BITS) + 8, message, count, limit)
    digits = (np.unpackbits(code) + ord("0")).tobytes().decode("ascii")
    numbers, number, position = [], 0, 0
    for _ in range(count):
        zero = digits.find("0", position)
        remainder = digits[zero + 1:zero + 1 + FINGERPRINT_BITS]
        _require(zero >= 0 and len(remainder) == FINGERPRINT_BITS, message, count, limit)
        difference = (zero - position << FINGERPRINT_BITS) + int(remainder, 2)
        _require(difference or not numbers, message, count, limit)
        number, position = number + difference, zero + 1 + FINGERPRINT_BITS
        numbers.append(number)
    _require(number < limit and bits - position < 8 and "1" not in digits[position:], message, count, limit)
    return numbers


def _unpacked(packed, metadata):
    """Return the arrays of a model, with dense matrices; raise `_Damaged` if their shapes or values are wrong."""
    is_computed = packed["gate_is_computed"]
    units, computed = len(is_computed) // 4, int(is_computed.sum())
    shapes = {name: array.shape for name, array in packed.items()}
    for name in [name for name in packed if name.endswith(".shape")]:
        shape = tuple(int(size) for size in packed[name])
        _require(len(shape) == 2 and min(shape) >= 0, "%s must be two sizes, got %s", name, shape)
        shapes[name[:-len(".shape")]] = shape
    is_text = metadata["kind"] == "text"
    inputs = shapes["W_in"][0]
    outputs = 1 if shapes["b_out"] == (1,) else len(metadata.get("classes", []))
    if not is_text:
        inputs, outputs = len(metadata["words"]), len(metadata["vocabulary"])
    _require(not is_text or outputs != 1 or len(metadata["classes"]) == 2, "one output needs two classes")
    expected = {"W_in": (inputs, computed), "W_hid": (units, computed), "b": (computed,), "W_out": (units, outputs),
                "b_out": (outputs,), "gate_is_computed": (4 * units,), "gate_constants": (4 * units,)}
    if is_text:
        expected["embedding"] = (len(metadata["words"]), inputs)
    for name, shape in expected.items():
        _require(shapes[name] == shape, "%s must have shape %s, got %s", name, shape, shapes[name])
    return {name: _unpacked_array(name, shape, packed) for name, shape in expected.items()}


def _unpacked_array(name, shape, packed):
    """Return an array of a shape that is stored with all elements or sparsely, and perhaps with a scale per row."""
    values = packed[name] if name in packed else packed[name + ".values"]
    scales = packed.get(name + ".scales", np.ones(1, dtype=np.float32))
    for array in (values, scales):
        _require(array.dtype.kind != "f" or np.isfinite(array).all(), "%s has a number that is not finite", name)
    if name not in packed:
        gaps = packed.get(name + ".gaps")
        positions = packed[name + ".positions"] if gaps is None else np.cumsum(gaps, dtype=np.int64)
        values = _dense(name, shape, positions, values)
    if name + ".scales" in packed:
        _require(len(scales) == shape[0], "%s.scales must have shape %s, got %s", name, shape[:1], scales.shape)
        return values * scales.astype(np.float32)[:, None]
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _dense(name, shape, positions, values):
    elements = shape[0] * shape[1]
    _require(len(positions) == len(values) and (not len(positions) or int(positions.max()) < elements),
             "the positions of %s are not those of its values", name)
    _require(elements <= max(SMALL_MATRIX, SPARSEST * len(values)), "%s has %d values in a matrix of shape %s", name,
             len(values), shape)
    dense = np.zeros(shape, dtype=values.dtype)
    dense.flat[positions] = values
    return dense


# -- the models --------------------------------------------------------------------------------------------------------

class Predictor(object):
    """Recurrence of a compressed model: an LSTM with the kept inputs, hidden units and gates only.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        ``W_in`` ``(inputs, computed gates)``, ``W_hid`` ``(H, computed gates)``, ``b`` ``(computed gates,)``;
        ``gate_is_computed`` ``(4H,)`` and ``gate_constants`` ``(4H,)``, with gates in the order input, forget, cell,
        output; ``W_out`` ``(H, outputs)``, ``b_out`` ``(outputs,)``; for a classifier
        ``embedding`` ``(words, inputs)``.
    metadata : dict
        ``kind`` ("text", "characters" or "words"), ``dataset``, ``config``, ``gate_nonlinearity``, ``words`` (those
        that are not pruned, in the order of the rows). For a classifier ``classes``, ``length``, ``lower_case``, and
        ``pruned_words`` if the word outside the vocabulary is kept, or in place of them ``pruned_fingerprints``: a dict
        with their ``range`` and the sorted ``values`` of `fingerprint`. For a language model ``vocabulary``. A model
        may have a ``card``, a dict of str to str: its data, training, metric and limits.

    Attributes
    ----------
    num_units : int
        Number of hidden units, H.
    row_of_word : dict of str to int
        Row index of each kept word.
    compiled : object or None
        Other code with the same results, which `predict`, `cross_entropy` and `sample` use: the C code of the model, if
        `bayes_rnn.predictor.load_model` found it.
    """

    compiled = None

    def __init__(self, arrays, metadata):
        self.arrays, self.metadata = arrays, metadata
        self.row_of_word = {word: row for row, word in enumerate(metadata["words"])}
        self.num_units = len(arrays["W_hid"])
        self._gate = _GATES[metadata["gate_nonlinearity"]]
        is_cell = np.repeat(np.arange(4) == 2, self.num_units)
        computed = np.flatnonzero(arrays["gate_is_computed"])
        # The computed gates, with those of the cell last, so that each nonlinearity has one contiguous part.
        order = np.argsort(is_cell[computed], kind="mergesort")
        self._computed, self._sigmoids = computed[order], int((~is_cell[computed]).sum())
        dtype = arrays["W_hid"].dtype
        scale = np.where(is_cell, 1, self._gate.scale)[self._computed].astype(dtype)
        shift = np.where(is_cell, 0, self._gate.shift)[self._computed].astype(dtype)
        self._W_in, self._b = arrays["W_in"][:, order] * scale, arrays["b"][order] * scale + shift
        self._W_hid_transposed = np.ascontiguousarray((arrays["W_hid"][:, order] * scale).T)
        # An additional row of zeros is the input of pruned words.
        table = arrays["embedding"] if "embedding" in arrays else self._W_in
        self._table = np.concatenate([table, np.zeros((1, table.shape[1]), dtype=table.dtype)])

    def rows(self, words):
        """Return the row indices of words in this model.

        Parameters
        ----------
        words : sequence of str

        Returns
        -------
        numpy.ndarray of int ``(len(words),)``
            Pruned words have the index that equals the number of kept words.
        """
        return np.array([self.row_of_word.get(word, len(self.row_of_word)) for word in words], dtype=np.int64)

    def run(self, rows, state=None):
        """Run the recurrence.

        Parameters
        ----------
        rows : numpy.ndarray of int ``(B, T)``
            From `rows`.
        state : (h, c), optional
            Initial state, ``(B, H)`` each; zeros by default.

        Yields
        ------
        h, c : numpy.ndarray ``(B, H)``
            State after each time step.
        """
        initial = self._initial_state(len(rows), state)
        for h, c in self._steps(rows, np.full(rows.shape[1], len(rows)), *initial):
            yield h.T.copy(), c.T.copy()

    def final_state(self, rows, mask=None, state=None):
        """Return the state after the last time step.

        Parameters
        ----------
        rows : numpy.ndarray of int ``(B, T)``
            From `rows`.
        mask : numpy.ndarray ``(B, T)``, optional
            Where it is 0, the state does not change.
        state : (h, c), optional
            Initial state, ``(B, H)`` each; zeros by default.

        Returns
        -------
        h, c : numpy.ndarray ``(B, H)``
        """
        # Move the rows that are not masked to the first time steps, without gaps, and sort the examples by decreasing
        # length. Then the examples that have not ended at a time step are always the first ones.
        seen = np.ones(rows.shape, dtype=bool) if mask is None else mask != 0
        lengths = seen.sum(axis=1)
        times = np.arange(lengths.max() if len(rows) else 0)
        compact = np.zeros((len(rows), len(times)), dtype=rows.dtype)
        compact[times < lengths[:, None]] = rows[seen]
        order = np.argsort(-lengths, kind="mergesort")
        counts = (lengths[:, None] > times).sum(axis=0)
        final = [part[:, order] for part in self._initial_state(len(rows), state)]
        ends = np.append(counts[1:], 0)
        for now, n, end in zip(self._steps(compact[order], counts, *final), counts, ends):
            for to, part in zip(final, now):
                to[:, end:n] = part[:, end:n]       # of the examples that end with this time step
        back = np.argsort(order)
        return tuple(np.ascontiguousarray(part[:, back].T) for part in final)

    def _initial_state(self, examples, state):
        """Return (h, c), ``(H, B)`` each. In this order, all values of a gate are contiguous."""
        if state is None:
            return (np.zeros((self.num_units, examples), dtype=self._b.dtype),) * 2
        return tuple(np.asarray(part, dtype=self._b.dtype).T for part in state)

    def _steps(self, rows, counts, h, c):
        """Yield (h, c), ``(H, B)`` each, after each time step; the arrays are overwritten by the next step.

        Only the first ``counts[t]`` columns are valid at time t. Other columns are undefined or missing.
        """
        distinct, index = np.unique(rows, return_inverse=True)
        projected = self._table[distinct]
        if "embedding" in self.arrays:
            projected = projected.dot(self._W_in)
        projected = projected + self._b
        index = np.ascontiguousarray(index.reshape(rows.shape).T)
        width = -1
        for words, n in zip(index, counts):
            if not 0.75 * width < n <= width:       # a few superfluous columns take less time than a copy
                width = n
                h, c = np.array(h[:, :n], order="C"), np.array(c[:, :n], order="C")
                a, update = np.empty((len(self._computed), n), dtype=h.dtype), np.empty_like(c)
                sigmoids, cells = a[:self._sigmoids], a[self._sigmoids:]
                gates = np.repeat(self.arrays["gate_constants"].astype(h.dtype)[:, None], n, axis=1)
                i, f, g, o = gates.reshape(4, self.num_units, n)
            np.dot(self._W_hid_transposed, h, out=a)
            a += projected[words[:width]].T
            self._gate.finish(sigmoids)
            _tanh(cells)
            gates[self._computed] = a
            c *= f
            c += np.multiply(i, g, out=update)
            update[:] = c
            _tanh(update)
            np.multiply(o, update, out=h)
            yield h, c

    def scores(self, h):
        """Return ``h W_out + b_out`` for hidden states of shape ``(B, H)``: numpy array ``(B, outputs)``."""
        return h.dot(self.arrays["W_out"]) + self.arrays["b_out"]


def fnv1a(data):
    """Return the hash value FNV-1a of 32 bits of bytes: int."""
    value = 2166136261
    for byte in bytearray(data):
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


@functools.lru_cache(maxsize=1 << 16)
def fingerprint(word, limit):
    """Return the fingerprint of a word, an integer in [0, limit): the hash value of its UTF-8, modulo the limit."""
    return fnv1a(word.encode("utf-8", "surrogatepass")) % limit


class _RowsWithFingerprints(dict):
    """Row of each kept word; other words have the row of pruned words if their fingerprint is that of a pruned word."""

    def __init__(self, rows, pruned_row, limit, values):
        super(_RowsWithFingerprints, self).__init__(rows)
        self._pruned_row, self._limit, self._values = pruned_row, limit, frozenset(values)

    def get(self, word, default=None):
        row = super(_RowsWithFingerprints, self).get(word)
        if row is not None:
            return row
        return self._pruned_row if fingerprint(word, self._limit) in self._values else default


class ClassPredictor(Predictor):
    """Compressed text classifier. Parameters and attributes are those of `Predictor`."""

    def __init__(self, arrays, metadata):
        super(ClassPredictor, self).__init__(arrays, metadata)
        pruned = len(self.row_of_word)
        # Words that have a row. All other words use the row of the word outside the vocabulary.
        self._row_of = dict.fromkeys([START_WORD] + metadata.get("pruned_words", []), pruned)
        self._row_of.update(self.row_of_word)
        stored = metadata.get("pruned_fingerprints")
        if stored is not None:
            self._row_of = _RowsWithFingerprints(self._row_of, pruned, stored["range"], stored["values"])
        self._outside = self.row_of_word.get(OUTSIDE_WORD, pruned)

    def row(self, word):
        """Return the row index of a word of a text: the number of kept words if it is pruned."""
        return self._row_of.get(word, self._outside)

    def encode(self, texts):
        """Return row indices and mask of texts.

        A text consists of the start, its words and the end. It is truncated to the model's length, and padded on the
        left.

        Parameters
        ----------
        texts : list of str

        Returns
        -------
        rows : numpy.ndarray of int64 ``(B, T)``
        mask : numpy.ndarray of uint8 ``(B, T)``
        """
        return self._encode_words(map(self._words, texts))

    def _encode_words(self, texts):
        """Return the result of `encode` for the words of texts."""
        count = self.metadata["length"] - 1
        encoded = [[self._row_of[START_WORD]] + [self._row_of.get(word, self._outside)
                                                 for word in itertools.islice(words, count)] for words in texts]
        longest = max([len(rows) for rows in encoded] or [1])
        table = np.zeros((len(encoded), longest), dtype=np.int64)
        mask = np.zeros((len(encoded), longest), dtype=np.uint8)
        for row, rows in enumerate(encoded):
            table[row, longest - len(rows):], mask[row, longest - len(rows):] = rows, 1
        return table, mask

    def _words(self, text):
        return tokenize(text.lower() if self.metadata["lower_case"] else text) + [END_OF_DOCUMENT]

    def predict(self, texts):
        """Return the probabilities of the classes.

        Parameters
        ----------
        texts : list of str
            Any number of texts; `BATCH` of them are computed at once.

        Returns
        -------
        numpy.ndarray ``(len(texts), classes)``

        Raises
        ------
        TypeError
            If the texts are one text, or one of them is not a str.

        Examples
        --------
        >>> model.predict(["a wonderful film", "a boring film"])      # doctest: +SKIP
        array([[0.03, 0.97],
               [0.96, 0.04]], dtype=float32)
        """
        if isinstance(texts, (str, bytes)):
            raise TypeError("texts must be a list of texts, got one text: use predict([text])")
        texts = list(texts)
        for text in texts:
            if not isinstance(text, str):
                raise TypeError("texts must be a list of str, got %s in it" % type(text).__name__)
        if self.compiled is not None:
            return self.compiled.predict(texts)
        batches = [texts[first:first + BATCH] for first in range(0, len(texts), BATCH)] or [[]]
        return np.concatenate([self.predict_rows(*self.encode(batch)) for batch in batches])

    def predict_rows(self, rows, mask):
        """Return the probabilities of the classes, ``(B, classes)``, for rows and mask of shape ``(B, T)``."""
        scores = self.scores(self.final_state(rows, mask)[0])
        if scores.shape[1] == 1:
            positive = GATE_NONLINEARITIES["sigmoid"](scores)
            return np.concatenate([1 - positive, positive], axis=1)
        return np.exp(log_softmax(scores))

    def influence(self, text):
        """Return how much each word of a text contributes to the prediction.

        This is the change of the probability when all occurrences of the word are deleted from the text.

        Parameters
        ----------
        text : str

        Returns
        -------
        list of (str, float)
            Each different word that the model reads, and the probability of the predicted class minus the one of the
            text without this word. The largest absolute values come first.
        """
        words = self._words(text)
        read = words[:self.metadata["length"] - 1]
        names = [word for word in collections.OrderedDict.fromkeys(read) if word != END_OF_DOCUMENT]
        # The text itself is the first of the batch: a batch takes hardly longer than one text.
        texts = itertools.chain([words], (itertools.filterfalse(name.__eq__, words) for name in names))
        rows = []
        while len(rows) <= len(names):
            rows.extend(self.predict_rows(*self._encode_words(itertools.islice(texts, BATCH))))
        whole, without = rows[0], rows[1:]
        best = int(np.argmax(whole))
        changes = [(name, float(whole[best] - row[best])) for name, row in zip(names, without)]
        return sorted(changes, key=lambda change: -abs(change[1]))

    def words_that_count(self, text):
        """Return the words from `influence` that change the probability by at least `SMALLEST_CHANGE`."""
        return [(word, change) for word, change in self.influence(text) if abs(change) >= SMALLEST_CHANGE]

    def describe(self, text):
        """Return the prediction for a text, and the words that count, as one line of text."""
        return self.describe_prediction(self.predict([text])[0], self.words_that_count(text))

    def describe_prediction(self, probabilities, words=None):
        """Return a prediction as one line of text.

        Parameters
        ----------
        probabilities : sequence of float
            One row of the result of `predict`.
        words : list of (str, float), optional
            From `words_that_count`.
        """
        names = self.metadata["classes"]
        line = "%s (%s)" % (names[int(np.argmax(probabilities))],
                            ", ".join("%s %.3f" % pair for pair in zip(names, probabilities)))
        if words is None:
            return line
        return line + "; words that count: " + (", ".join("%s %+.3f" % pair for pair in words) or "none")


class NextTokenPredictor(Predictor):
    """Compressed language model of words or characters. Parameters and attributes are those of `Predictor`."""

    def tokens(self, text):
        """Return the tokens of a text: list of str.

        Unknown words are replaced by ``<unk>`` if the vocabulary has it.

        Raises
        ------
        ReportedError
            If a token is not in the vocabulary and cannot be replaced.
        """
        tokens = character_tokens(text) if self.metadata["kind"] == "characters" else word_tokens(text)
        known = set(self.metadata["vocabulary"])
        tokens = [token if token in known or UNKNOWN_WORD not in known else UNKNOWN_WORD for token in tokens]
        unknown = sorted(set(tokens) - known)
        if unknown:
            raise ReportedError("%r is not in the vocabulary of the model, which has %d %s"
                                % (unknown[0], len(known), self.metadata["kind"]))
        return tokens

    def cross_entropy(self, text, context=None):
        """Return the mean cross-entropy of the tokens of a text.

        Parameters
        ----------
        text : str
        context : str, optional
            Lines that precede the text, which the model reads first. Without them, the model begins in an empty state,
            and the first token of the text is not predicted. Then the cross-entropy of a short text is higher than
            that of a test set, in which the state is carried along.

        Returns
        -------
        nats : float
            Per token.
        count : int
            Number of predicted tokens.

        Raises
        ------
        ReportedError
            If no token is predicted, or a token is not in the vocabulary.
        """
        before = self._as_line(context) if context else ""
        measured = None if self.compiled is None else self.compiled.cross_entropy(text, before)
        if measured is not None and measured[1] > 0:
            return measured[0] / measured[1], measured[1]
        first = self.tokens(before) if before else []
        tokens, begin = first + self.tokens(text), max(1, len(first))
        if len(tokens) <= begin:
            raise ReportedError("the text must have at least %d tokens, got %d"
                                % (1 if first else 2, len(tokens) - len(first)))
        column = {token: index for index, token in enumerate(self.metadata["vocabulary"])}
        states = itertools.islice((h for h, _ in self.run(self.rows(tokens[:-1])[None])), begin - 1, None)
        total = 0.
        for start in range(begin, len(tokens), STEPS):      # one product of many rows is faster than many of one row
            targets = [column[token] for token in tokens[start:start + STEPS]]
            h = np.concatenate(list(itertools.islice(states, len(targets))))
            total -= float(log_softmax(self.scores(h))[np.arange(len(targets)), targets].sum(dtype=np.float64))
        return total / (len(tokens) - begin), len(tokens) - begin

    def _as_line(self, text):
        """Return a text with the end of its last line, or with a space if no token is a line feed."""
        has_lines = self.metadata["kind"] == "words" or "\n" in self.metadata["vocabulary"]
        end = "\n" if has_lines else SPACE_CHARACTER
        return text if text.endswith("\n") else text + end

    def sample(self, count, seed=0, prompt=None, temperature=1.0):
        """Generate text.

        Parameters
        ----------
        count : int
            Number of tokens to generate.
        seed : int
            In [0, 2^32 - 1].
        prompt : str, optional
            Beginning of the text. By default, the model starts after an end of line.
        temperature : float
            Divisor of the scores, positive. Below 1, probable tokens are drawn more often; above 1, less often.

        Returns
        -------
        str
            The prompt and the generated tokens.

        Raises
        ------
        ReportedError
            If a token of the prompt is not in the vocabulary.
        """
        vocabulary, random = self.metadata["vocabulary"], np.random.RandomState(seed)
        end = "\n" if self.metadata["kind"] == "characters" else END_OF_LINE
        tokens = self.tokens(prompt) if prompt else []
        if self.metadata["kind"] == "words":
            tokens = tokens[:-1]                    # without the end of line: the generated text continues the prompt
        generated = list(tokens)
        draw = self._sampler(tokens or [end if end in vocabulary else vocabulary[0]],
                             max(temperature, LOWEST_TEMPERATURE))
        generated += [draw(random.rand()) for _ in range(count)]
        if self.metadata["kind"] == "characters":
            return "".join(generated).replace(SPACE_CHARACTER, " ")
        return re.sub(" ?\n ?", "\n", " ".join("\n" if word == END_OF_LINE else word for word in generated))

    def _sampler(self, tokens, temperature):
        """Return a function that continues tokens: random number in [0, 1) -> next token."""
        vocabulary = self.metadata["vocabulary"]
        if self.compiled is not None:
            index = {token: index for index, token in enumerate(vocabulary)}
            draw_index = self.compiled.sampler([index[token] for token in tokens], temperature)
            return lambda random: vocabulary[draw_index(random)]
        state, latest = None, tokens

        def draw(random):
            nonlocal state, latest
            state = self.final_state(self.rows(latest)[None], state=state)
            scores = self.scores(state[0])[0].astype(np.float64)
            with np.errstate(over="ignore"):            # a low temperature: all other tokens have probability 0
                scores = (scores - scores.max()) / temperature
            probabilities = np.exp(log_softmax(scores))
            latest = [vocabulary[int(np.searchsorted(np.cumsum(probabilities), random * probabilities.sum()))]]
            return latest[0]
        return draw

    def describe(self, text, context=None):
        """Return the cross-entropy of a text as one line of text; see `cross_entropy`."""
        nats, count = self.cross_entropy(text, context)
        if self.metadata["kind"] == "characters":
            measured = "%.3f bits per character over %d characters" % (nats / np.log(2), count)
        else:
            measured = "perplexity %.2f over %d words" % (np.exp(nats), count)
        return measured + (", after the context" if context else ", from an empty state: no context precedes the text")


def log_softmax(scores):
    """Return the logarithm of the softmax along the last axis.

    Parameters
    ----------
    scores : numpy.ndarray ``(..., classes)``

    Returns
    -------
    numpy.ndarray of the same shape

    Examples
    --------
    >>> import numpy as np
    >>> from theano_rnn.numpy_predictor import log_softmax
    >>> np.exp(log_softmax(np.array([1000., 1000.]))).tolist()
    [0.5, 0.5]
    """
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
