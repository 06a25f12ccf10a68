"""Write the file of a compressed model, and make it smaller. Needs NumPy only.

`theano_rnn.numpy_predictor` reads the file. In the file,

* a matrix with more zeros than other elements is stored as its values and the gaps between their positions;
* with the precision "int8", an element of a matrix is a byte, to be multiplied by the scale of its row;
* pruned words, which must be known to distinguish them from words outside the vocabulary, are stored in front coding
  (in alphabetical order, without the prefix that a word shares with the previous one) or as fingerprints in Rice coding
  (8 bits for each word; about one of 64 words outside the vocabulary then counts as pruned);
* the kept words of a language model are a mask of its vocabulary.
"""

import itertools
import os

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import save_arrays
from theano_rnn.numpy_predictor import END_OF_DOCUMENT, FINGERPRINT_BITS, FORMAT, OUTSIDE_WORD, fingerprint

import numpy as np

__all__ = ["PRECISIONS", "PRUNED_WORDS", "save_model", "with_fingerprints", "with_precision",
           "without_pruned_words"]

PRECISIONS = ("float32", "float16", "int8")
#: Forms of the list of pruned words in the file.
PRUNED_WORDS = ("exact", "fingerprints", "none")
#: A matrix is stored in int8 only if this saves about this number of bytes, else in float16: the scales need space too.
_SAVED_BYTES = 200


def save_model(path, arrays, metadata, precision="float32", pruned_words="exact"):
    """Write a compressed model to a file.

    Parameters
    ----------
    path : str
    arrays : dict of str to numpy.ndarray
    metadata : dict
        From `bayes_rnn.export.compress`.
    precision : {"float32", "float16", "int8"}
        Of the weights: "float32" stores the arrays as they are; see `with_precision`.
    pruned_words : {"exact", "fingerprints", "none"}
        "fingerprints" stores a number for each pruned word, see `with_fingerprints`; "none" leaves the pruned words
        out, see `without_pruned_words`; "exact" stores the words, or the fingerprints of a model that has no words.

    Raises
    ------
    ReportedError
        If a weight is too large for the precision.

    Examples
    --------
    >>> save_model("small.npz", model.arrays, model.metadata, "int8", "none")       # doctest: +SKIP
    """
    if pruned_words == "none":
        arrays, metadata = without_pruned_words(arrays, metadata)
    elif pruned_words == "fingerprints":
        metadata = with_fingerprints(metadata)
    packed = {}
    for name, array in arrays.items():
        _pack(packed, name, array, precision)
    metadata = dict(metadata, format=FORMAT)
    if metadata["kind"] != "text":
        _pack_kept_words(packed, metadata)
    elif "pruned_fingerprints" in metadata:
        stored = metadata["pruned_fingerprints"]
        packed["pruned_fingerprints"] = _rice_coded(stored["values"])
        metadata["pruned_fingerprints"] = {"range": stored["range"], "count": len(stored["values"])}
    elif metadata.get("pruned_words") and not any("\n" in word for word in metadata["pruned_words"]):
        packed["pruned_words.shared"], packed["pruned_words.rest"] = _front_coded(metadata.pop("pruned_words"))
    save_arrays(path, packed, metadata, compress=True)


def with_precision(arrays, precision):
    """Return the arrays of a model as they are after saving and loading them with a precision.

    "float16" rounds all weights. "int8" rounds each element of a matrix to a multiple of a scale, which is 1/127 of the
    largest absolute value in its row, and all other numbers to float16, also those of a matrix that would not become
    smaller. Prediction computes in float32 in any case.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
    precision : {"float32", "float16", "int8"}

    Returns
    -------
    dict of str to numpy.ndarray
    """
    if precision == "float32":
        return dict(arrays)
    result = {}
    for name, array in arrays.items():
        values, scales = _quantised(name, array, precision)
        if values.dtype != bool:
            values = values.astype(np.float32)
        result[name] = values if scales is None else values * scales.astype(np.float32)[:, None]
    return result


def with_fingerprints(metadata):
    """Return the metadata of a model with a fingerprint of each pruned word in place of the word.

    A word outside the vocabulary counts as pruned if it has the fingerprint of a pruned word. The probability is at
    most 1/64. All other words are treated as before, and so is the end of a text, even if it is outside the vocabulary.

    Parameters
    ----------
    metadata : dict

    Returns
    -------
    dict
    """
    words = set(metadata.get("pruned_words", []))
    if not words:
        return metadata
    metadata = {name: value for name, value in metadata.items() if name != "pruned_words"}
    end_is_outside = END_OF_DOCUMENT not in words.union(metadata["words"])
    for limit in itertools.count(len(words) << FINGERPRINT_BITS):
        values = {fingerprint(word, limit) for word in words}
        # Every text has an end. It must not count as pruned if it is outside the vocabulary.
        if not end_is_outside or fingerprint(END_OF_DOCUMENT, limit) not in values:
            return dict(metadata, pruned_fingerprints={"range": limit, "values": sorted(values)})


def without_pruned_words(arrays, metadata):
    """Return a model that treats words outside the vocabulary as pruned words, so that it needs no list of them.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
    metadata : dict

    Returns
    -------
    arrays : dict of str to numpy.ndarray
        Without the row of the word outside the vocabulary.
    metadata : dict
    """
    if metadata["kind"] != "text":
        return arrays, metadata
    metadata = {name: value for name, value in metadata.items() if name not in ("pruned_words", "pruned_fingerprints")}
    if OUTSIDE_WORD in metadata["words"]:
        row = metadata["words"].index(OUTSIDE_WORD)
        metadata["words"] = metadata["words"][:row] + metadata["words"][row + 1:]
        arrays = dict(arrays, embedding=np.delete(arrays["embedding"], row, axis=0))
    return arrays, metadata


def _quantised(name, array, precision):
    """Return an array in a precision and the scales of its rows, float16 ``(rows,)``, or None."""
    if array.dtype == bool or precision == "float32":
        return array, None
    if precision == "int8" and array.ndim == 2 and np.count_nonzero(array) - 2 * len(array) >= _SAVED_BYTES:
        scales = _as_float16(name, np.abs(array).max(axis=1) / 127)
        divisors = np.where(scales > 0, scales, 1).astype(np.float32)[:, None]
        return np.clip(np.round(array / divisors), -127, 127).astype(np.int8), scales
    return _as_float16(name, array), None


def _as_float16(name, array):
    with np.errstate(over="ignore"):
        result = array.astype(np.float16)
    if not np.isfinite(result).all():
        raise ReportedError("%s has the value %g, but the largest float16 is 65504; use --precision float32"
                            % (name, np.abs(array).max()))
    return result


def _pack(packed, name, array, precision):
    """Add the parts of an array to a dict."""
    array, scales = _quantised(name, array, precision)
    if scales is not None:
        packed[name + ".scales"] = scales
    positions = np.flatnonzero(array)
    if array.ndim < 2 or len(positions) * 2 >= array.size:
        packed[name] = array
        return
    gaps = np.diff(np.append(0, positions))
    packed[name + ".gaps"] = gaps.astype(np.min_scalar_type(int(gaps.max()) if len(gaps) else 0))
    packed[name + ".values"] = array.ravel()[positions]
    packed[name + ".shape"] = np.array(array.shape, dtype=np.int64)


def _pack_kept_words(packed, metadata):
    """Replace the words of a language model by a mask of its vocabulary, if they have the same order."""
    kept = set(metadata["words"])
    if metadata["words"] == [word for word in metadata["vocabulary"] if word in kept]:
        packed["words.are_kept"] = np.array([word in kept for word in metadata["vocabulary"]], dtype=bool)
        del metadata["words"]


def _front_coded(words):
    """Return the sorted words in front coding: two uint8 arrays, read by ``numpy_predictor._front_decoded``."""
    shared, rests, before = [], [], ""
    for word in sorted(set(words)):
        count = min(len(os.path.commonprefix([before, word])), 255)
        shared.append(count)
        rests.append(word[count:])
        before = word
    return (np.array(shared, dtype=np.uint8),
            np.frombuffer("\n".join(rests).encode("utf-8", "surrogatepass"), dtype=np.uint8))


def _rice_coded(values):
    """Return increasing integers in Rice coding: uint8, read by ``numpy_predictor._rice_decoded``."""
    digits = []
    for difference in np.diff(np.append(0, values)).tolist():
        quotient, remainder = divmod(difference, 1 << FINGERPRINT_BITS)
        digits.append("1" * quotient + "0" + format(remainder, "0%db" % FINGERPRINT_BITS))
    return np.packbits(np.frombuffer("".join(digits).encode("ascii"), dtype=np.uint8) - ord("0"))
