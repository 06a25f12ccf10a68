"""Export of a compressed model as a web page: ``python -m bayes_rnn.export MODEL --to html``.

The page is one file that makes no connection to the network. The folder ``html`` has its template, the JavaScript that
predicts (``predict.js``) and the JavaScript that shows the predictions (``page.js``). This module adds the arrays of
the model, and the tables of characters with which JavaScript finds the same words as Python.
"""

import base64
import collections
import functools
import hashlib
import io
import os

from theano_rnn.errors import ReportedError
from theano_rnn.numpy_predictor import SMALLEST_CHANGE
from theano_rnn.tokens import (
    END_OF_DOCUMENT,
    END_OF_LINE,
    OUTSIDE_WORD,
    SPACE_CHARACTER,
    START_WORD,
    UNKNOWN_WORD,
)

import numpy as np

from .characters import in_lower_case, range_bounds, sigma_neighbours, white_space, word_characters
from .predictor import require_finite_weights

__all__ = ["html_page", "PageModel", "page_model", "render", "describe_model"]

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "html")

#: The properties of a model that the templates show. kind: as in the metadata. parts: of a text, "words" or
#: "characters". size: list of (name, value). words: those that are kept. card: list of (name, value), the model card if
#: the file has one. description: for predict.js, from `describe_model`.
PageModel = collections.namedtuple("PageModel", ["kind", "parts", "size", "words", "card", "description"])


# -- the data of predict.js --------------------------------------------------------------------------------------------

def _base64(values, dtype):
    return base64.b64encode(np.ascontiguousarray(values).astype(dtype).tobytes()).decode("ascii")


def _stored(array):
    """Return an array as in the file of a model: all elements, or positions and values if most elements are zero."""
    stored = {"shape": list(array.shape)}
    positions = np.flatnonzero(array)
    if array.ndim == 2 and len(positions) * 2 < array.size:
        stored["positions"], array = _base64(positions, "<u4"), array.ravel()[positions]
    return dict(stored, values=_base64(array, "<f4"))


def _set(codes):
    """Return the differences of the bounds of the ranges of sorted code points: list of int."""
    return [int(difference) for difference in np.diff(np.append(0, range_bounds(codes)))]


@functools.lru_cache(maxsize=None)
def _characters(lower_case):
    """Return the tables of characters with which predict.js finds the words of a classifier."""
    tables = {"word": _set(np.flatnonzero(word_characters()))}
    if lower_case:
        changed = [(code, low) for code, low in enumerate(in_lower_case()) if low != chr(code) and chr(code) != "\n"]
        tables["lower"] = _runs([(code, ord(low)) for code, low in changed if len(low) == 1])
        tables["lower_to_several"] = [[code, [ord(part) for part in low]] for code, low in changed if len(low) > 1]
        tables["cased"], tables["case_ignorable"] = map(_set, sigma_neighbours())
    return tables


def _runs(pairs):
    """Return pairs (code, code in lower case) as list of [first, last, step, difference]; the step is 1 or 2."""
    runs = []
    for code, low in pairs:
        last = runs[-1] if runs else None
        if last and last[3] == low - code and (code - last[1] == last[2] or last[0] == last[1] and code - last[1] == 2):
            last[2], last[1] = code - last[1], code
        else:
            runs.append([code, code, 1, low - code])
    return runs


@functools.lru_cache(maxsize=None)
def _white_space():
    return {"space": _set(white_space())}


def _fingerprints(metadata):
    """Return the fingerprints of pruned words, or None."""
    stored = metadata.get("pruned_fingerprints")
    return stored and {"range": stored["range"], "values": _base64(stored["values"], "<u4")}


def describe_model(model):
    """Return a compressed model as predict.js reads it.

    Parameters
    ----------
    model : bayes_rnn.predictor.ClassPredictor or NextTokenPredictor

    Returns
    -------
    dict
        For JSON. Arrays are base64 of float32; the positions of the elements that are not zero are uint32.

    Raises
    ------
    ReportedError
        If a weight is not finite.
    """
    require_finite_weights(model)
    metadata = model.metadata
    description = {
        "kind": metadata["kind"], "gate_nonlinearity": metadata["gate_nonlinearity"],
        "computed_gates": [int(gate) for gate in np.flatnonzero(model.arrays["gate_is_computed"])],
        "arrays": {name: _stored(array) for name, array in model.arrays.items() if name != "gate_is_computed"},
        "special_tokens": {"start": START_WORD, "outside": OUTSIDE_WORD, "end": END_OF_DOCUMENT,
                           "end_of_line": END_OF_LINE, "unknown": UNKNOWN_WORD, "space": SPACE_CHARACTER}}
    if metadata["kind"] == "text":
        description.update({name: metadata[name] for name in ("words", "classes", "length", "lower_case")},
                           pruned_words=metadata.get("pruned_words", []), pruned_fingerprints=_fingerprints(metadata),
                           characters=_characters(bool(metadata["lower_case"])), smallest_change=SMALLEST_CHANGE)
    else:
        description.update(vocabulary=metadata["vocabulary"], characters=_white_space(),
                           row_of_token=[model.row_of_word.get(word, -1) for word in metadata["vocabulary"]])
    return description


# -- pages -------------------------------------------------------------------------------------------------------------

def page_model(model, size):
    """Return what the templates show of a model.

    Parameters
    ----------
    model : bayes_rnn.predictor.ClassPredictor or NextTokenPredictor
    size : int
        Size of the file of the model, in bytes.

    Returns
    -------
    PageModel
    """
    arrays, metadata = model.arrays, model.metadata
    parts = "characters" if metadata["kind"] == "characters" else "words"
    weights = sum(np.count_nonzero(array) for array in arrays.values() if array.ndim == 2)
    rows = [("file", "{:,} bytes".format(size)),
            ("kept " + parts, _of(len(metadata["words"]), metadata.get("vocabulary"))),
            ("weights", "{:,}, without biases".format(weights)), ("hidden units", "{:,}".format(model.num_units)),
            ("gates", "{:,} of {:,} depend on the text".format(int(arrays["gate_is_computed"].sum()),
                                                               4 * model.num_units)),
            ("configuration", metadata["config"])]
    card = sorted(metadata.get("card", {}).items())
    return PageModel(metadata["kind"], parts, rows, metadata["words"], card, describe_model(model))


def _of(count, all_words):
    return "{:,}".format(count) if all_words is None else "{:,} of {:,}".format(count, len(all_words))


def html_page(model, size):
    """Return the page of a compressed model.

    Parameters
    ----------
    model : bayes_rnn.predictor.ClassPredictor or NextTokenPredictor
    size : int
        Size of the file of the model, in bytes.

    Returns
    -------
    bytes
        HTML in UTF-8.

    Raises
    ------
    ReportedError
        If the package jinja2 is missing, or a weight is not finite.
    """
    title = " ".join(filter(None, [_text(model.metadata.get("dataset")), "compressed model"]))
    return render("page.html", title, page_model(model, size), example="")


def _text(value):
    """Return a text of the metadata; an empty one if it is missing or something else."""
    return value if isinstance(value, str) else ""


def render(template, title, model=None, folders=(), **values):
    """Return a page from a template.

    The page may not connect to anything, and runs no script but those of the folder ``html``.

    Parameters
    ----------
    template : str
        File name of a template that extends ``layout.html``.
    title : str
    model : PageModel, optional
        The model that the page predicts with.
    folders : sequence of str
        Other folders with templates.
    values : dict
        Other variables of the template.

    Returns
    -------
    bytes
        HTML in UTF-8.

    Raises
    ------
    ReportedError
        If the package jinja2 is missing.
    """
    try:
        import jinja2
    except ImportError as error:
        raise ReportedError("HTML pages need the package jinja2; install it with: pip install jinja2") from error
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader([HERE] + list(folders)), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["visible"] = lambda word: word.replace("\n", u"\u21B5")
    style, scripts = _read("page.css"), [_read("predict.js"), _read("page.js")] if model else []
    policy = ["default-src 'none'", "img-src data:", "style-src " + _digest(style)]
    policy += ["script-src " + " ".join(map(_digest, scripts))] if scripts else []
    page = environment.get_template(template).render(
        title=title, model=model, style=style, scripts=scripts,
        policy="; ".join(policy + ["base-uri 'none'", "form-action 'none'"]), **values)
    # A word of a foreign model may have a surrogate, which UTF-8 cannot represent.
    return page.encode("utf-8", "xmlcharrefreplace")


def _read(name):
    with io.open(os.path.join(HERE, name), encoding="utf-8") as source:
        return source.read()


def _digest(text):
    """Return the source expression of an inline script or style in a Content Security Policy."""
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
