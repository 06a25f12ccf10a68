"""Tables in C, for the export of a compressed model: matrices, characters, words, and the LSTM."""

import io
import os
import re

from theano_rnn.numpy_predictor import fnv1a

import numpy as np

from .characters import (
    CAPITAL_SIGMA,
    FINAL_SIGMA,
    SMALL_SIGMA,
    all_characters,
    in_lower_case,
    range_bounds,
    sigma_neighbours,
)
from .predictor import require_finite_weights

__all__ = ["byte_items", "code_points", "constant_array", "integer_array", "lower_case_tables", "network_tables",
           "string_literal", "template", "word_tables"]

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "c")

#: Of matrices with more elements than this, only the nonzero ones are stored if they are less than an eighth: more of
#: them would take more time than all elements, of which compilers compute several at once.
_LARGE = 1024
#: A product with a matrix of which at most this number of elements are stored is written as one statement for each
#: column, which takes less time than tables, and more memory.
_FEW = 1024
#: A table of the products of embedding and input weights may have this number of elements if it saves time.
_LARGE_TABLE = 1 << 18
#: Number of columns that compilers can compute at once on all processors with vector instructions.
_VECTOR = 4
#: Number of texts that the code for many texts computes at once. GCC unrolls loops of up to 16 iterations before it can
#: use vector instructions for them. With more columns of gates, one text after the other takes less time. With more
#: inputs, the product with the input weights is computed for one text after the other.
_LANES, _MOST_COLUMNS_OF_LANES, _MOST_INPUTS_OF_LANES = 24, 48, 16


# -- literals ----------------------------------------------------------------------------------------------------------

def _lines(items, columns=110):
    """Return items separated by commas, in indented lines."""
    lines, line, length = [], [], 0
    for item in items:
        if length + len(item) + 2 > columns:
            lines.append("    " + ", ".join(line))
            line, length = [], 0
        line.append(item)
        length += len(item) + 2
    return ",\n".join(lines + ["    " + ", ".join(line)])


def constant_array(kind, name, items):
    """Return the definition of a constant array. C has no empty arrays: an empty one has one element, 0.

    Parameters
    ----------
    kind : str
        The type of the elements in C.
    name : str
    items : iterable of str
        The elements as they stand in C code.
    """
    items = list(items) or ["0"]
    return "static const %s %s[%d] = {\n%s\n};\n" % (kind, name, len(items), _lines(items))


def integer_array(name, values, largest=None):
    """Return the definition of an array of unsigned integers of the smallest type.

    Parameters
    ----------
    name : str
    values : iterable of int
    largest : int, optional
        The largest value that the type must hold; that of `values` if omitted.
    """
    values = [int(value) for value in values]
    largest = max(values + [0]) if largest is None else largest
    kind = "uint8_t" if largest < 1 << 8 else "uint16_t" if largest < 1 << 16 else "uint32_t"
    return constant_array(kind, name, ["0x%X" % value if largest > 1 << 16 else str(value) for value in values])


def _floats(values):
    """Yield float32 numbers as the shortest decimals that are read back as the same numbers."""
    values = np.asarray(values, dtype=np.float32).ravel()
    for value in np.where(np.abs(values) < 1e-30, np.float32(0), values):
        yield "0" if value == 0 else str(value) + "f"


def string_literal(text):
    """Return a string literal of a text in UTF-8."""
    return '"%s"' % "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else "\\%03o" % byte for byte in text.encode("utf-8"))


def byte_items(data):
    """Yield the bytes of a word, as characters where they are printable."""
    for byte in bytearray(data):
        yield "'%c'" % byte if 32 < byte < 127 and byte not in b"'\\?" else str(byte)


def template(name):
    """Return the text of a file in the folder ``c``."""
    with io.open(os.path.join(HERE, name), encoding="utf-8") as source:
        return source.read()


def _is_sparse(values):
    return values.size > _LARGE and np.count_nonzero(values) * 8 < values.size


def _matrix(name, values, *uses):
    """Return the definition of a matrix and of the functions ``add_<name>_<use>``: "row", "product" or "lanes"."""
    rows, columns = values.shape
    nonzero, is_sparse = values != 0, _is_sparse(values)
    about = "/* %s: %d rows, %d columns%s. */\n" % (
        name, rows, columns, ", %d elements that are not zero" % nonzero.sum() if is_sparse else "")
    if is_sparse and uses == ("product",) and nonzero.sum() <= _FEW:
        code = template("few_product.c").replace("STATEMENTS", _statements(values))
    elif is_sparse:
        starts = np.concatenate([[0], np.cumsum(nonzero.sum(axis=1))])
        data = (integer_array("matrix_start", starts) + integer_array("matrix_column", np.nonzero(values)[1])
                + constant_array("float", "matrix_value", _floats(values[nonzero])))
        code = "\n".join([data] + [template("sparse_%s.c" % use) for use in uses])
    else:
        # Braces around each row.
        data = "static const float matrix[%d][%d] = {\n%s\n};\n" % (
            rows, columns, ",\n".join("    {\n%s\n    }" % _lines(_floats(row)) for row in values))
        code = "\n".join([data] + [template("dense_%s.c" % use) for use in uses])
    return about + re.sub(r"\bmatrix(?=_|\b)", name, code).replace("add_matrix_", "add_%s_" % name).replace(
        "MATRIX_ROWS", str(rows)).replace("MATRIX_COLUMNS", str(columns))


def _statements(values):
    """Return one statement for each column of a matrix: the sum of the products with its elements that are not zero."""
    lines = []
    for column, elements in enumerate(values.T):
        nonzero = np.flatnonzero(elements)
        if len(nonzero):
            terms = ["x[%d] * %s" % term for term in zip(nonzero, _floats(elements[nonzero]))]
            lines.append("    y[%d] += %s;" % (column, "\n        + ".join(terms)))
    return "\n".join(lines)


# -- characters --------------------------------------------------------------------------------------------------------

def code_points(name, codes):
    """Return the definition of an array of the ranges of a set of code points."""
    return constant_array("uint32_t", name, ["0x%X" % bound for bound in range_bounds(codes)])


def lower_case_tables(matters, is_word_character):
    """Return the tables for lower-casing, which Python's own ``str.lower`` defines.

    Parameters
    ----------
    matters : callable
        Maps a code point to whether the model distinguishes it. The tables have only letters of which one case matters,
        or only one case is a word character.
    is_word_character : sequence of bool
        By code point.

    Returns
    -------
    tables : str
        C code.
    final_sigma : bool
        Whether the code must distinguish the two lower-case forms of the Greek letter sigma.
    """
    pairs = []
    for code, (character, low) in enumerate(zip(all_characters(), in_lower_case())):
        if code < 0x80 or low == character or character == CAPITAL_SIGMA:
            continue
        if matters(code) or matters(ord(low[0])) or is_word_character[code] != is_word_character[ord(low[0])]:
            pairs.append((code, ord(low[0])))
    tables = [integer_array("upper_letters", [pair[0] for pair in pairs]),
              integer_array("lower_letters", [pair[1] for pair in pairs])]
    final_sigma = any(map(matters, map(ord, (CAPITAL_SIGMA, SMALL_SIGMA, FINAL_SIGMA))))
    if final_sigma:
        cased, case_ignorable = sigma_neighbours()
        tables += [code_points("cased", cased), code_points("case_ignorable", case_ignorable)]
    return "\n".join(tables), final_sigma


# -- words -------------------------------------------------------------------------------------------------------------

def word_tables(words, is_reachable):
    """Return the tables of words: their bytes, and a hash table with open addressing (FNV-1a, linear probing).

    Parameters
    ----------
    words : sequence of str
    is_reachable : callable
        Maps a word to whether a text can have it as a token; the other words are not in the hash table.

    Returns
    -------
    tables : str
        C code.
    constants : list of (str, str)
        Names and values.
    """
    encoded = [word.encode("utf-8", "surrogatepass") for word in words]
    slots = [0] * (1 << max(1, (2 * len(words)).bit_length()))
    for index, data in enumerate(encoded):
        if is_reachable(words[index]):
            slot = fnv1a(data) % len(slots)
            while slots[slot]:
                slot = (slot + 1) % len(slots)
            slots[slot] = index + 1
    starts = np.concatenate([[0], np.cumsum([len(data) + 1 for data in encoded])])
    lines = ",\n".join("    " + ", ".join(list(byte_items(data)) + ["0"]) for data in encoded) or "    0"
    tables = "\n".join(["static const unsigned char words[] = {\n%s\n};\n" % lines,
                        integer_array("word_start", starts), integer_array("slots", slots)])
    return tables, [("WORDS", "%d" % len(words)), ("SLOTS", "%du" % len(slots)),
                    ("LONGEST_WORD", "%d" % max([len(data) for data in encoded] + [1]))]


# -- the network -------------------------------------------------------------------------------------------------------

def _padded(count):
    return max(_VECTOR, -(-count // _VECTOR) * _VECTOR)


def _with_all_gates(arrays, hard):
    """Return the arrays of a network, in which gates with constant values are computed too: from their biases."""
    computed, constants = arrays["gate_is_computed"] != 0, arrays["gate_constants"].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):            # constants of cells can be negative
        of_gates = (constants - 0.5) / 0.2 if hard else 2 * np.arctanh(2 * constants - 1)
        of_cells = np.arctanh(constants)
    is_cell = np.arange(len(computed)) // (len(computed) // 4) == 2
    # No number beyond the limits gives another value.
    result = {"b": np.clip(np.where(is_cell, of_cells, of_gates), -16, 16)}
    for name in ("W_in", "W_hid", "b"):
        result.setdefault(name, np.zeros((len(arrays[name]), len(computed))))[..., computed] = arrays[name]
    return dict({name: array.astype(np.float32) for name, array in result.items()},
                gate_is_computed=np.ones(len(computed), dtype=bool))


def _input_matrices(W_in, embedding):
    """Return the input weights, the embedding or None if its product with them replaces it, and the number of words."""
    rows, columns = len(W_in), W_in.shape[1]
    if embedding is not None:
        rows, inputs = embedding.shape
        product = rows * columns
        is_faster = inputs > _VECTOR and product <= _LARGE_TABLE and not _is_sparse(embedding)
        if not inputs or product <= rows * inputs + W_in.size or is_faster:
            W_in, embedding = embedding.dot(W_in), None
    if embedding is None and not rows:              # C has no empty arrays
        return np.zeros((1, columns), dtype=np.float32), None, 1
    return W_in, embedding, rows


def network_tables(model, is_classifier):
    """Return the matrices and tables of the embedding, the LSTM and the output layer.

    Parameters
    ----------
    model : Predictor
    is_classifier : bool

    Returns
    -------
    matrices : str
        C code.
    constants : list of (str, int)
        Names and values.

    Raises
    ------
    ReportedError
        If a weight is not finite.
    """
    require_finite_weights(model)
    arrays = {name: np.asarray(array, dtype=np.float32) for name, array in model.arrays.items()}
    units, hard = model.num_units, model.metadata["gate_nonlinearity"] == "hard_sigmoid"
    all_gates = bool(np.count_nonzero(arrays["gate_is_computed"]) >= 3 * units > 0)
    if all_gates:
        arrays.update(_with_all_gates(arrays, hard))
    computed = np.flatnonzero(arrays["gate_is_computed"])
    is_cell = computed // max(units, 1) == 2
    # The columns: input, forget and output gates, then the cell; zeros fill each part.
    sigmoids, cells = np.flatnonzero(~is_cell), np.flatnonzero(is_cell)
    columns = _padded(len(sigmoids)) + _padded(len(cells))
    place = np.empty(len(computed), dtype=int)
    place[sigmoids], place[cells] = np.arange(len(sigmoids)), _padded(len(sigmoids)) + np.arange(len(cells))
    scale = np.where(is_cell, 1, 0.2 if hard else 0.5).astype(np.float32)

    def in_columns(values):
        result = np.zeros(values.shape[:-1] + (columns,), dtype=np.float32)
        result[..., place] = values * scale
        return result

    bias = in_columns(arrays["b"])
    if hard:
        bias[place[sigmoids]] += np.float32(0.5)
    gate_of_column = np.full(columns, 4 * units)
    gate_of_column[place] = computed
    W_in, W_hid = in_columns(arrays["W_in"]), in_columns(arrays["W_hid"])
    W_out, constants = arrays["W_out"], arrays["gate_constants"]
    if not units:                                   # C has no empty arrays: one unit that is always 0
        units, constants, gate_of_column = 1, np.zeros(4), np.full(columns, 4)
        W_hid, W_out = np.zeros((1, columns), dtype=np.float32), np.zeros((1, W_out.shape[1]), dtype=np.float32)
    W_in, embedding, rows = _input_matrices(W_in, arrays.get("embedding"))
    is_small = columns <= _MOST_COLUMNS_OF_LANES and W_hid.size <= _LARGE
    lanes = _LANES if is_classifier and is_small else 1
    input_lanes = lanes > 1 and embedding is not None and embedding.shape[1] <= _MOST_INPUTS_OF_LANES
    matrices = [] if embedding is None else [_matrix("embedding", embedding, *["row"] * input_lanes)]
    matrices += [_matrix("input_weights", W_in, "row", *["lanes"] * input_lanes),
                 _matrix("hidden_weights", W_hid, "product", *["lanes"] * (lanes > 1)),
                 _matrix("output_weights", W_out, "product"), constant_array("float", "bias", _floats(bias)),
                 constant_array("float", "output_bias", _floats(arrays["b_out"]))]
    if not all_gates:
        matrices += [constant_array("float", "gate_constants", _floats(constants)),
                     integer_array("gate_of_column", gate_of_column)]
    sparse_embedding = embedding is not None and _is_sparse(embedding)
    constants = [("ROWS", rows), ("UNITS", units), ("OUTPUTS", W_out.shape[1]), ("COLUMNS", columns),
                 ("SIGMOIDS", _padded(len(sigmoids))), ("HARD_SIGMOID", int(hard)),
                 ("EMBEDDING", int(embedding is not None)), ("SPARSE_EMBEDDING", int(sparse_embedding)),
                 ("ALL_GATES", int(all_gates)), ("LANES", lanes), ("INPUT_LANES", int(input_lanes))]
    if embedding is not None:
        constants.append(("INPUTS", embedding.shape[1]))
    return "\n".join(matrices), constants
