"""Export of a compressed model as C source code: ``python -m bayes_rnn.export MODEL --to c``.

The result is one source file in C99 and its header. They consist of tables, which this module generates from the model,
and of the files in the folder ``c``, in which it replaces the prefix ``model_`` by the name of the model.
"""

import contextlib
import hashlib
import io
import os
import re
import subprocess
import unicodedata

from theano_rnn.errors import ReportedError
from theano_rnn.numpy_predictor import fnv1a
from theano_rnn.tokens import END_OF_DOCUMENT, END_OF_LINE, OUTSIDE_WORD, START_WORD, UNKNOWN_WORD, tokenize

import numpy as np

from .characters import (
    CAPITAL_SIGMA,
    FINAL_SIGMA,
    SMALL_SIGMA,
    all_characters,
    in_lower_case,
    range_bounds,
    sigma_neighbours,
    white_space,
    word_characters,
)
from .predictor import ClassPredictor

__all__ = ["c_files", "compiler", "build", "identifier", "file_digest", "library_path", "is_built_here"]

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
#: Tokens that no text contains.
_NO_TOKEN = "((size_t)-1)"


# -- C -----------------------------------------------------------------------------------------------------------------

def identifier(name):
    """Return a prefix for the names in C: letters, digits and underscores of a name, in lower case.

    Examples
    --------
    >>> identifier("IMDB-demo")
    'imdb_demo'
    """
    name = re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")
    return name if name[:1].isalpha() else "model_" + name if name else "model"


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


def _array(kind, name, items):
    """Return the definition of a constant array. C has no empty arrays: an empty one has one element, 0."""
    items = list(items) or ["0"]
    return "static const %s %s[%d] = {\n%s\n};\n" % (kind, name, len(items), _lines(items))


def _integers(name, values, largest=None):
    """Return the definition of an array of unsigned integers of the smallest type."""
    values = [int(value) for value in values]
    largest = max(values + [0]) if largest is None else largest
    kind = "uint8_t" if largest < 1 << 8 else "uint16_t" if largest < 1 << 16 else "uint32_t"
    return _array(kind, name, ["0x%X" % value if largest > 1 << 16 else str(value) for value in values])


def _floats(values):
    """Yield float32 numbers as the shortest decimals that are read back as the same numbers."""
    values = np.asarray(values, dtype=np.float32).ravel()
    for value in np.where(np.abs(values) < 1e-30, np.float32(0), values):
        yield "0" if value == 0 else str(value) + "f"


def _string(text):
    """Return a string literal of a text in UTF-8."""
    return '"%s"' % "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else "\\%03o" % byte for byte in text.encode("utf-8"))


def _bytes(data):
    """Yield the bytes of a word, as characters where they are printable."""
    for byte in bytearray(data):
        yield "'%c'" % byte if 32 < byte < 127 and byte not in b"'\\?" else str(byte)


def _template(name):
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
        code = _template("few_product.c").replace("STATEMENTS", _statements(values))
    elif is_sparse:
        starts = np.concatenate([[0], np.cumsum(nonzero.sum(axis=1))])
        data = (_integers("matrix_start", starts) + _integers("matrix_column", np.nonzero(values)[1])
                + _array("float", "matrix_value", _floats(values[nonzero])))
        code = "\n".join([data] + [_template("sparse_%s.c" % use) for use in uses])
    else:
        # Braces around each row.
        data = "static const float matrix[%d][%d] = {\n%s\n};\n" % (
            rows, columns, ",\n".join("    {\n%s\n    }" % _lines(_floats(row)) for row in values))
        code = "\n".join([data] + [_template("dense_%s.c" % use) for use in uses])
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

def _set(name, codes):
    return _array("uint32_t", name, ["0x%X" % bound for bound in range_bounds(codes)])


def _lower_case_tables(matters, is_word_character):
    """Return the tables for lower-casing, which Python's own ``str.lower`` defines, and whether sigmas need more.

    Characters that do not matter, neither before nor after, are left out; matters: function of a code point.
    """
    pairs = []
    for code, (character, low) in enumerate(zip(all_characters(), in_lower_case())):
        if code < 0x80 or low == character or character == CAPITAL_SIGMA:
            continue
        if matters(code) or matters(ord(low[0])) or is_word_character[code] != is_word_character[ord(low[0])]:
            pairs.append((code, ord(low[0])))
    tables = [_integers("upper_letters", [pair[0] for pair in pairs]),
              _integers("lower_letters", [pair[1] for pair in pairs])]
    final_sigma = any(map(matters, map(ord, (CAPITAL_SIGMA, SMALL_SIGMA, FINAL_SIGMA))))
    if final_sigma:
        cased, case_ignorable = sigma_neighbours()
        tables += [_set("cased", cased), _set("case_ignorable", case_ignorable)]
    return "\n".join(tables), final_sigma


# -- words -------------------------------------------------------------------------------------------------------------

def _words(words, is_reachable):
    """Return the tables of words, and their constants. Words that are not reachable cannot be found."""
    encoded = [word.encode("utf-8", "surrogatepass") for word in words]
    slots = [0] * (1 << max(1, (2 * len(words)).bit_length()))
    for index, data in enumerate(encoded):
        if is_reachable(words[index]):
            slot = fnv1a(data) % len(slots)
            while slots[slot]:
                slot = (slot + 1) % len(slots)
            slots[slot] = index + 1
    starts = np.concatenate([[0], np.cumsum([len(data) + 1 for data in encoded])])
    lines = ",\n".join("    " + ", ".join(list(_bytes(data)) + ["0"]) for data in encoded) or "    0"
    tables = ("static const unsigned char words[] = {\n%s\n};\n" % lines + "\n" + _integers("word_start", starts) + "\n"
              + _integers("slots", slots))
    return tables, [("WORDS", "%d" % len(words)), ("SLOTS", "%du" % len(slots)),
                    ("LONGEST_WORD", "%d" % max([len(data) for data in encoded] + [1]))]


# -- the network -------------------------------------------------------------------------------------------------------

def _padded(count):
    return max(_VECTOR, -(-count // _VECTOR) * _VECTOR)


def _with_all_gates(arrays, hard):
    """Return the arrays of a network, in which gates with constant values are computed too: from their biases."""
    computed, constants = arrays["gate_is_computed"] != 0, arrays["gate_constants"].astype(float)
    with np.errstate(divide="ignore"):
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


def _network(model, is_classifier):
    """Return the matrices and tables of the LSTM, and their constants."""
    arrays = {name: np.asarray(array, dtype=np.float32) for name, array in model.arrays.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ReportedError("the model cannot be exported: %s contains a value that is not finite" % name)
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
                 _matrix("output_weights", W_out, "product"), _array("float", "bias", _floats(bias)),
                 _array("float", "output_bias", _floats(arrays["b_out"]))]
    if not all_gates:
        matrices += [_array("float", "gate_constants", _floats(constants)),
                     _integers("gate_of_column", gate_of_column)]
    sparse_embedding = embedding is not None and _is_sparse(embedding)
    constants = [("ROWS", rows), ("UNITS", units), ("OUTPUTS", W_out.shape[1]), ("COLUMNS", columns),
                 ("SIGMOIDS", _padded(len(sigmoids))), ("HARD_SIGMOID", int(hard)),
                 ("EMBEDDING", int(embedding is not None)), ("SPARSE_EMBEDDING", int(sparse_embedding)),
                 ("ALL_GATES", int(all_gates)), ("LANES", lanes), ("INPUT_LANES", int(input_lanes))]
    if embedding is not None:
        constants.append(("INPUTS", embedding.shape[1]))
    return "\n".join(matrices), constants


# -- the files ---------------------------------------------------------------------------------------------------------

def _classifier(model, rows):
    """Return the parts of a classifier: tables, constants, replacements in the header."""
    metadata = model.metadata
    words = metadata["words"] + sorted(set(metadata.get("pruned_words", [])) - set(metadata["words"]))
    is_word_character = word_characters()
    tables, constants = _words(words, lambda word: tokenize(word) == [word])
    alphabet = {ord(character) for word in words for character in word}
    ascii_word = [(ord(chr(code).lower()) if metadata["lower_case"] else code) if is_word_character[code] else 0
                  for code in range(0x80)]
    tables += "\n" + _array("unsigned char", "ascii_word", (item for code in ascii_word for item in (
        _bytes([code]) if code else ["0"])))
    tables += "\n" + _set("word_characters", np.flatnonzero(is_word_character))
    final_sigma = False
    if metadata["lower_case"]:
        # A fingerprint depends on all characters of a word, also of a word that is not in the model.
        matters = alphabet.__contains__ if "pruned_fingerprints" not in metadata else lambda code: True
        more, final_sigma = _lower_case_tables(matters, is_word_character)
        tables += "\n" + more
    tables += "\n" + _array("char *const", "class_names", map(_string, metadata["classes"]))

    stored = metadata.get("pruned_fingerprints", {"range": 0, "values": []})
    if stored["values"]:
        tables += "\n" + _integers("fingerprints", stored["values"], stored["range"])
    outside, end = model.row_of_word.get(OUTSIDE_WORD, rows), model.row(END_OF_DOCUMENT)
    constants += [("LOWER_CASE", int(bool(metadata["lower_case"]))), ("FINAL_SIGMA", int(final_sigma)),
                  ("START_ROW", model.row_of_word.get(START_WORD, rows)), ("OUTSIDE_ROW", outside),
                  ("END_ROW", end if end < len(model.row_of_word) else rows),
                  ("FINGERPRINTS", len(stored["values"])), ("FINGERPRINT_RANGE", "%du" % stored["range"])]
    return tables, constants, {"CLASSES": len(metadata["classes"]), "LENGTH": metadata["length"]}


def _language_model(model, rows):
    """Return the parts of a language model: tables, constants, replacements in the header."""
    vocabulary, characters = model.metadata["vocabulary"], model.metadata["kind"] == "characters"
    tables, constants = _words(vocabulary, lambda word: True)
    token = {word: index for index, word in enumerate(vocabulary)}
    unknown = token.get(UNKNOWN_WORD)
    line_end = token.get("\n" if characters else END_OF_LINE)
    tables += "\n" + _integers("row_of_token", [model.row_of_word.get(word, rows) for word in vocabulary], rows)
    tables += "\n" + _set("white_space", white_space())
    constants += [("CHARACTERS", int(characters)), ("NO_TOKEN", _NO_TOKEN),
                  ("UNKNOWN_TOKEN", "NO_TOKEN" if unknown is None else unknown),
                  ("FIRST_TOKEN", 0 if line_end is None else line_end)]
    if not characters:
        constants.append(("LINE_END_TOKEN", "UNKNOWN_TOKEN" if line_end is None else line_end))
    return tables, constants, {
        "TOKENS": len(vocabulary), "UNITS": max(model.num_units, 1), "KIND": model.metadata["kind"],
        "TEXT": " A space\n * is the text of the token _." if characters else
                " A line\n * feed is the text of the token %s." % END_OF_LINE,
        "OPEN_LINE": "" if characters else "\n * The text continues the last line, which therefore has no end."}


_HEADER = """\
/* %(about)s
 *
 * Generated by python -m bayes_rnn.export. All functions are thread-safe, and none allocates memory. */

#ifndef MODEL_H
#define MODEL_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

%(declarations)s
/* Return the SHA-256 digest of the file of the compressed model. */
const char *model_digest(void);

#ifdef __cplusplus
}
#endif

#endif
"""

_SOURCE = """\
/* %(about)s
 *
 * Generated by python -m bayes_rnn.export. C99; needs the mathematical library only (-lm). Word characters and lower
 * case are those of Unicode %(unicode)s. */

#include "model_.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

%(constants)s

static const char digest[] = "%(digest)s";

%(code)s"""


def c_files(model, file_name, prefix, digest):
    """Return a compressed model as C source code.

    Parameters
    ----------
    model : bayes_rnn.predictor.ClassPredictor or NextTokenPredictor
    file_name : str
        Name of the files without folder, ``.c`` and ``.h``.
    prefix : str
        Beginning of the names of all functions, from `identifier`.
    digest : str
        From `file_digest`, for the function ``<prefix>_digest``.

    Returns
    -------
    source, header : str

    Raises
    ------
    ReportedError
        If a weight is not finite.
    """
    is_classifier = isinstance(model, ClassPredictor)
    network, constants = _network(model, is_classifier)
    part = "classifier" if is_classifier else "language_model"
    tables, more, replacements = (_classifier if is_classifier else _language_model)(model, dict(constants)["ROWS"])
    about = "%s %s: %d words, %d hidden units, %d computed gates." % (
        model.metadata.get("dataset", ""), model.metadata["config"], len(model.row_of_word), model.num_units,
        int(model.arrays["gate_is_computed"].sum()))
    about = about.encode("ascii", "replace").decode("ascii").replace("*/", "* /").replace("?", "_").strip()
    header = _HEADER % {"about": about, "declarations": _template(part + ".h")}
    for key, value in replacements.items():
        header = header.replace("@%s@" % key, str(value))
    source = _SOURCE % {
        "about": about, "unicode": unicodedata.unidata_version, "digest": digest,
        "constants": "\n".join("#define %s %s" % pair for pair in constants + more),
        "code": "\n".join([tables, network] + [_template(name + ".c")
                                               for name in ["characters", "words", "lstm"]
                                               + ["lstm_lanes"] * (dict(constants)["LANES"] > 1) + [part]])}

    def named(code):
        code = re.sub(r"\bMODEL_", prefix.upper() + "_", re.sub(r"\bmodel_", prefix + "_", code))
        return code.replace('"%s_.h"' % prefix, '"%s.h"' % file_name)

    return named(source), named(header)


def file_digest(path):
    """Return the SHA-256 digest of a file, as hexadecimal digits: str."""
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def library_path(source):
    """Return the path of the library that `build` creates from a source file."""
    return os.path.splitext(source)[0] + ".so"


def compiler():
    """Return the compiler and its options, from the variables CC and CFLAGS: list of str."""
    command = os.environ.get("CC", "").split() or ["cc"]
    return command + ["-std=c99", "-O3", "-ffp-contract=fast"] + os.environ.get("CFLAGS", "").split()


def build(source):
    """Compile an exported source file to a shared library, with the compiler ``cc`` or that of the variable CC.

    The variable CFLAGS may have more options, for example ``-march=native`` for use on this kind of processor only.

    Parameters
    ----------
    source : str
        Path of a file ``.c``; the library is beside it.

    Returns
    -------
    str
        Path of the library.

    Raises
    ------
    ReportedError
        If there is no compiler, or it fails.
    """
    library = library_path(source)
    temporary = "%s.%d" % (library, os.getpid())
    command = compiler() + ["-shared", "-fPIC"]
    try:
        process = subprocess.Popen(command + ["-o", temporary, source, "-lm"], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
    except OSError as error:
        raise ReportedError("the C compiler %s cannot be started (%s); install one, or set CC"
                            % (command[0], error)) from None
    output = process.communicate()[0].decode("utf-8", "replace")
    if process.returncode:
        raise ReportedError("the C compiler failed: %s\n%s" % (" ".join(command + [source]), output.strip()))
    os.rename(temporary, library)                   # at once: a process may be using the former library
    _remember(file_digest(library))
    return library


def is_built_here(library):
    """Return whether `build` created a library for this user.

    A library is machine code. One that came with a model from elsewhere must not run because it lies beside the model.
    """
    try:
        with open(_built_libraries()) as stream:
            return file_digest(library) in stream.read().split()
    except OSError:
        return False


def _built_libraries():
    """Return the path of the user's list of digests of the libraries that `build` created."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "bayes_rnn", "built_libraries")


def _remember(digest):
    with contextlib.suppress(OSError):              # then the library is used on request only
        os.makedirs(os.path.dirname(_built_libraries()), exist_ok=True)
        with open(_built_libraries(), "a") as stream:
            stream.write(digest + "\n")
