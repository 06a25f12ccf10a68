"""Segments of sparse LSTMs and blocks of sparse embeddings: golden cases, properties, error messages."""

import decimal
import doctest
import fractions
import json
import math
import os
import re
import subprocess
import sys

from theano_rnn.errors import ReportedError

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sparse_seq_theano import geometry as geometry_module
from sparse_seq_theano.geometry import (
    EmbeddingGeometry,
    GeometryError,
    LSTMGeometry,
    embedding_geometry,
    lstm_geometry,
    reduction_factor,
)

GOLDEN_CASES = {"lstm_case": "lstm", "embedding_case": "embedding", "factor_case": "reduction_factor"}
PROPERTIES = settings(max_examples=200, deadline=None)


def pytest_generate_tests(metafunc):
    for argument in set(GOLDEN_CASES) & set(metafunc.fixturenames):
        path = os.path.join(metafunc.config.getoption("--golden-dir"), "sparse_seq", "sparse_geometry.json")
        with open(path) as stream:
            cases = json.load(stream)[GOLDEN_CASES[argument]]
        assert cases
        metafunc.parametrize(argument, cases, ids=[
            "-".join(str(value) for value in _leaves({key: case[key] for key in case if key != "result"}))
            for case in cases])


def _leaves(value):
    return [leaf for key in value for leaf in _leaves(value[key])] if isinstance(value, dict) else [value]


def dense_parameters(input_size, hidden_size):
    return 4 * hidden_size * (input_size + hidden_size + 2)


def counted(input_segments, hidden_segments):
    return sum(dense_parameters(input_end - input_begin, hidden_end - hidden_begin)
               for (input_begin, input_end), (hidden_begin, hidden_end) in zip(input_segments, hidden_segments))


def published_hidden_segments(units, components):
    """Return the hidden segments as the published program computes them, in floating-point arithmetic.

    Begins are truncated to integers. Ends are truncated after 1e-7 is added, and the last end is the number of units.
    """
    if components == 1:
        return [(0, units)]
    density = 1. / components
    overlap = units * (components * density - 1) / (components - 1)
    begins = [component * (units * density - overlap) for component in range(components)]
    ends = [int(begin + units * density + 1e-7) for begin in begins]
    return list(zip([int(begin) for begin in begins], ends[:-1] + [units]))


def without_overlap(segments):
    """Return segments without overlap: each begins at or after the end of the previous one."""
    return [(max(begin, before), end) for (begin, end), (_, before) in zip(segments, [(0, 0)] + segments)]


# Golden cases

@pytest.mark.core
def test_golden_lstm(lstm_case):
    sizes, expected = (lstm_case["input_size"], lstm_case["hidden_size"]), lstm_case["result"]
    if "error" in expected:
        with pytest.raises(GeometryError):
            lstm_geometry(*sizes, **lstm_case["arguments"])
        return
    geometry = lstm_geometry(*sizes, **lstm_case["arguments"])
    published = [tuple(segment) for segment in expected["output_segments"]]
    assert published == published_hidden_segments(sizes[1], expected["k"])
    hidden_segments = without_overlap(published)
    parameters = counted(expected["input_segments"], hidden_segments)
    assert counted(expected["input_segments"], published) == expected["parameters"]
    expected["sparseness"] *= parameters / float(expected["parameters"])
    assert geometry.components == expected["k"]
    assert geometry.density == pytest.approx(expected["input_density"], abs=1e-9)
    assert geometry.input_segments == tuple(tuple(segment) for segment in expected["input_segments"])
    assert geometry.hidden_segments == tuple(hidden_segments)
    assert geometry.parameters == parameters
    assert geometry.sparseness == pytest.approx(expected["sparseness"], abs=1e-9)


@pytest.mark.core
def test_golden_embedding(embedding_case):
    geometry = embedding_geometry(embedding_case["vocabulary"], embedding_case["dimensions"],
                                  density=embedding_case["density"], blocks=embedding_case["blocks"])
    expected = embedding_case["result"]
    assert geometry.start_rows == tuple(expected["start_rows"])
    assert geometry.widths == tuple(expected["widths"])
    assert geometry.empirical_density == pytest.approx(expected["empirical_density"], abs=1e-9)


@pytest.mark.core
def test_golden_reduction_factor(factor_case):
    alpha = reduction_factor(factor_case["density"], factor_case["blocks"])
    assert alpha == pytest.approx(factor_case["alpha"], abs=1e-9)


# Sparse LSTM

@st.composite
def lstms_of_blocks(draw):
    input_size, hidden_size = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    blocks = draw(st.integers(1, hidden_size))
    density = draw(st.floats(max(1. / blocks, 1. / input_size), 1.))
    return lstm_geometry(input_size, hidden_size, blocks=blocks, density=density)


@st.composite
def lstms_of_reductions(draw):
    sizes = draw(st.integers(2, 300)), draw(st.integers(1, 300))
    reductions = draw(st.floats(0.01, 1.)), draw(st.floats(0.1, 1.))
    try:
        return lstm_geometry(*sizes, reduce_in=reductions[0], reduce_out=reductions[1])
    except GeometryError:
        assume(False)


@PROPERTIES
@given(st.one_of(lstms_of_blocks(), lstms_of_reductions()))
def test_segments_cover_and_count(geometry):
    assert len(geometry.input_segments) == len(geometry.hidden_segments) == geometry.components
    read = [index for begin, end in geometry.input_segments for index in range(begin, end)]
    owned = [index for begin, end in geometry.hidden_segments for index in range(begin, end)]
    assert set(read) == set(range(geometry.input_size))
    assert owned == list(range(geometry.hidden_size))
    assert all(begin < end for begin, end in geometry.input_segments + geometry.hidden_segments)
    assert geometry.input_segments == tuple(sorted(geometry.input_segments))
    lengths = [end - begin for begin, end in geometry.input_segments]
    assert all(abs(length - geometry.density * geometry.input_size) < 1 + 1e-6 for length in lengths)
    units = [end - begin for begin, end in geometry.hidden_segments]
    assert max(units) - min(units) <= 1
    assert geometry.parameters == sum(4 * h * (i + h + 2) for i, h in zip(lengths, units))


@PROPERTIES
@given(st.one_of(lstms_of_blocks(), lstms_of_reductions()))
@example(lstm_geometry(39, 40, blocks=12))
@example(lstm_geometry(36, 62, blocks=6, density=0.835))
@example(lstm_geometry(52, 106, blocks=6, density=0.914))
@example(lstm_geometry(107, 112, blocks=6, density=0.818))
def test_hidden_segments_are_the_published_ones_without_overlap(geometry):
    """If rounding lets two published components share a unit, it belongs to the first one here."""
    published = published_hidden_segments(geometry.hidden_size, geometry.components)
    assert list(geometry.hidden_segments) == without_overlap(published)
    assert [end for _, end in geometry.hidden_segments] == [end for _, end in published]
    assert [begin for begin, _ in geometry.hidden_segments] == [0] + [end for _, end in published[:-1]]
    assert all(0 <= begin - earlier <= 1 for (begin, _), (earlier, _) in zip(geometry.hidden_segments, published))


@pytest.mark.parametrize("sizes, blocks", [((39, 40), 12), ((36, 62), 6), ((52, 106), 6), ((107, 112), 6)])
def test_published_segments_that_overlap(sizes, blocks):
    """The examples of the test above are cases in which the published program has a unit too many."""
    published = published_hidden_segments(sizes[1], blocks)
    assert sum(end - begin for begin, end in published) == sizes[1] + 1
    assert sum(end - begin for begin, end in lstm_geometry(*sizes, blocks=blocks).hidden_segments) == sizes[1]


@PROPERTIES
@given(lstms_of_reductions())
def test_reductions_keep_the_parameters_of_the_reduced_dense_lstm(geometry):
    # Segments of exact, fractional lengths i and h would give exactly those parameters. Rounding changes every i by
    # less than 1, so sum(4 h i) by less than 4 n_o; k whole numbers h with the sum n_o that differ by at most 1 have
    # sum(4 h^2) at most k above 4 n_o^2 / k.
    reduce_in, reduce_out = geometry.reductions
    target = dense_parameters(reduce_in * geometry.input_size, reduce_out * geometry.hidden_size)
    margin = geometry.components + 1e-6 * target
    if geometry.density < 1:
        assert abs(geometry.parameters - target) <= 4 * geometry.hidden_size + margin
    else:
        assert geometry.parameters <= target + margin


@pytest.mark.parametrize("sizes, reductions", [
    ((400, 1150), (1, 0.66666)), ((1725, 1725), (0.66666, 0.66666)), ((1725, 400), (0.66666, 1)),
    ((400, 1150), (1, 0.5)), ((1150, 1150), (0.5, 0.5)), ((1150, 400), (0.5, 1)), ((1150, 400), (0.5, 0.5))])
def test_reductions_of_the_paper_keep_the_parameters_to_two_per_mille(sizes, reductions):
    geometry = lstm_geometry(*sizes, reduce_in=reductions[0], reduce_out=reductions[1])
    target = dense_parameters(reductions[0] * sizes[0], reductions[1] * sizes[1])
    assert geometry.parameters == pytest.approx(target, rel=2e-3)


@PROPERTIES
@given(st.one_of(lstms_of_blocks(), lstms_of_reductions()))
def test_info(geometry):
    info = geometry.info()
    names = ["input_size", "hidden_size", "components", "density", "input_segments", "hidden_segments", "parameters",
             "sparseness", "dense_equivalent"]
    assert [info[name] for name in names] == [getattr(geometry, name) for name in names]
    assert dense_parameters(geometry.input_size, info["dense_equivalent"]) == pytest.approx(geometry.parameters)
    assert info["sparseness"] * dense_parameters(geometry.input_size, geometry.hidden_size) == pytest.approx(
        geometry.parameters)
    if geometry.reductions is None:
        assert list(info) == names
    else:
        assert list(info) == names + ["reduced_input_size", "reduced_hidden_size"]
        assert info["reduced_input_size"] == geometry.reductions[0] * geometry.input_size
        assert info["reduced_hidden_size"] == geometry.reductions[1] * geometry.hidden_size
    json.dumps(info)


def test_dense_lstm():
    expected = LSTMGeometry(50, 100, 1, 1., ((0, 50),), ((0, 100),))
    assert lstm_geometry(50, 100, blocks=1) == lstm_geometry(50, 100, density=1) == expected
    assert lstm_geometry(50, 100, reduce_in=1, reduce_out=1) == expected._replace(reductions=(1., 1.))
    assert expected.sparseness == 1 and expected.dense_equivalent == pytest.approx(100)


@pytest.mark.parametrize("blocks", range(1, 101))
def test_density_of_one_over_blocks_is_accepted_in_spite_of_rounding(blocks):
    for density in (1. / blocks, float("%.11g" % (1. / blocks)), fractions.Fraction(1, blocks)):
        geometry = lstm_geometry(1000, 100, blocks=blocks, density=density)
        assert set().union(*[range(*segment) for segment in geometry.input_segments]) == set(range(1000))
        assert embedding_geometry(50, 100, blocks=blocks, density=density).start_rows[1:-1] == (50,) * (blocks - 2)
        assert reduction_factor(density, blocks) == pytest.approx(1 if blocks == 1 else 0, abs=1e-6)


# Sparse embedding

@st.composite
def embeddings(draw):
    vocabulary_size, dimensions, blocks = draw(st.integers(1, 3000)), draw(st.integers(1, 40)), draw(st.integers(1, 45))
    density = draw(st.floats(1. / min(blocks, dimensions), 1.))
    return embedding_geometry(vocabulary_size, dimensions, blocks=blocks, density=density)


@PROPERTIES
@given(embeddings())
def test_embedding_blocks(geometry):
    assert len(geometry.start_rows) == len(geometry.widths) == geometry.blocks <= geometry.dimensions
    assert sum(geometry.widths) == geometry.dimensions and min(geometry.widths) >= 1
    assert geometry.start_rows[0] == 0
    assert all(0 <= start <= geometry.vocabulary_size for start in geometry.start_rows)
    # The last one takes what is left, for which it may need more rows than the block before it has.
    assert list(geometry.start_rows[:-1]) == sorted(geometry.start_rows[:-1])
    weights = np.zeros((geometry.vocabulary_size, geometry.dimensions), dtype=bool)
    for start, (begin, end) in zip(geometry.start_rows, geometry.block_columns):
        weights[start:, begin:end] = True
    assert geometry.parameters == weights.sum()
    assert geometry.empirical_density == pytest.approx(weights.mean())
    assert (np.diff(weights.sum(axis=1)) >= 0).all()

    wanted = math.floor(geometry.vocabulary_size * geometry.dimensions * geometry.density)
    last_rows = geometry.vocabulary_size - geometry.start_rows[-1]
    if 0 < last_rows < geometry.vocabulary_size:
        assert abs(geometry.parameters - wanted) <= geometry.widths[-1] / 2.
    else:       # nothing is left for the last block, or more than it can take
        assert abs(geometry.parameters - wanted) <= geometry.dimensions


@PROPERTIES
@given(embeddings())
def test_row_segments(geometry):
    segments = geometry.row_segments
    assert [begin for begin, _, _ in segments] == [0] + [end for _, end, _ in segments[:-1]]
    assert segments[-1][1] == geometry.vocabulary_size
    for begin, end, columns in segments:
        assert begin < end
        present = [start <= begin for start in geometry.start_rows]
        assert present == [start < end for start in geometry.start_rows]
        assert columns == max(last for there, (_, last) in zip(present, geometry.block_columns) if there)
        if list(geometry.start_rows) == sorted(geometry.start_rows):
            assert columns == sum(width for there, width in zip(present, geometry.widths) if there)


def test_embedding_of_one_block_is_dense():
    expected = EmbeddingGeometry(7, 3, 1, 1., (0,), (3,))
    assert embedding_geometry(7, 3) == expected
    assert expected.parameters == 21 and expected.row_segments == [(0, 7, 3)]


def test_no_more_blocks_than_dimensions():
    assert embedding_geometry(100, 4, blocks=9, density=0.5) == embedding_geometry(100, 4, blocks=4, density=0.5)


@PROPERTIES
@given(st.integers(2, 200), st.data())
def test_reduction_factor_solves_its_equation(blocks, data):
    density = data.draw(st.floats(1. / blocks, 1.))
    alpha = reduction_factor(density, blocks)
    assert 0 <= alpha <= 1
    below, above = [sum(value ** power for power in range(blocks)) / blocks
                    for value in (max(0, alpha - 1e-6), min(1, alpha + 1e-6))]
    assert below - 1e-9 <= density <= above + 1e-9


# Refusals

@pytest.mark.parametrize("function, arguments, message", [
    (lstm_geometry, {"input_size": 0, "hidden_size": 5, "blocks": 1},
     "input_size must be an integer from 1 to 100000000, got 0"),
    (lstm_geometry, {"input_size": 5, "hidden_size": 2.5, "blocks": 1},
     "hidden_size must be an integer from 1 to 100000000, got 2.5"),
    (lstm_geometry, {"input_size": 5, "hidden_size": 5},
     "expected either blocks and density (1 and 1 for a dense LSTM) or reduce_in and reduce_out, got "
     "neither"),
    (lstm_geometry, {"input_size": 5, "hidden_size": 5, "blocks": 2, "reduce_in": 1},
     "expected either blocks and density (1 and 1 for a dense LSTM) or reduce_in and reduce_out, got both"),
    (lstm_geometry, {"input_size": 5, "hidden_size": 5, "reduce_out": 0.5},
     "reduce_in and reduce_out must be given together, but reduce_in is missing (1 keeps the size)"),
    (lstm_geometry, {"input_size": 5, "hidden_size": 5, "blocks": "two"},
     "blocks must be an integer from 1 to 100000000, got 'two'"),
    (lstm_geometry, {"input_size": 9, "hidden_size": 5, "blocks": 7},
     "blocks must be at most the number of hidden units, 5, got 7"),
    (lstm_geometry, {"input_size": 9, "hidden_size": 5, "blocks": 2, "density": float("nan")},
     "density must be in (0, 1], got nan"),
    (lstm_geometry, {"input_size": 9, "hidden_size": 5, "density": 0.5},
     "density 0.5 is too small with 1 block; expected density 1 or blocks at least 2"),
    (lstm_geometry, {"input_size": 10, "hidden_size": 10, "blocks": 3, "density": 0.3},
     "density 0.3 is too small with 3 blocks; expected density at least 0.3334 or blocks at least 4"),
    (lstm_geometry, {"input_size": 2, "hidden_size": 10, "blocks": 3, "density": 0.4},
     "density 0.4 is too small with 3 blocks and 2 inputs; expected density at least 0.5"),
    (lstm_geometry, {"input_size": 7, "hidden_size": 5, "reduce_in": 0, "reduce_out": 0.5},
     "reduce_in must be in (0, 1], got 0"),
    (lstm_geometry, {"input_size": 16, "hidden_size": 144, "reduce_in": 0.84, "reduce_out": 0.216},
     "reduce_in 0.84 and reduce_out 0.216 with 16 inputs and 144 hidden units need 20 components, more than the "
     "maximum, 15; expected reduce_out at least 0.2478"),
    (lstm_geometry, {"input_size": 7, "hidden_size": 5, "reduce_in": 0.1, "reduce_out": 0.1},
     "reduce_in 0.1 and reduce_out 0.1 with 7 inputs and 5 hidden units leave too few parameters for any number of "
     "components; expected reduce_out at least 0.7062"),
    (lstm_geometry, {"input_size": 1000, "hidden_size": 1, "reduce_in": 0.5, "reduce_out": 0.5},
     "reduce_in 0.5 and reduce_out 0.5 with 1000 inputs and 1 hidden unit need 5 components, more than the maximum, "
     "1; expected both at least 1.0"),
    (lstm_geometry, {"input_size": 1, "hidden_size": 5, "reduce_in": 1, "reduce_out": 1},
     "reduce_in and reduce_out need at least 2 inputs, got 1 input and 5 hidden units; use blocks=1 and density=1 "
     "for a dense LSTM"),
    (embedding_geometry, {"vocabulary_size": -3, "dimensions": 5},
     "vocabulary_size must be an integer from 1 to 100000000, got -3"),
    (embedding_geometry, {"vocabulary_size": 30, "dimensions": True},
     "dimensions must be an integer from 1 to 100000000, got True"),
    (embedding_geometry, {"vocabulary_size": 30, "dimensions": 5, "blocks": 1.5},
     "blocks must be an integer from 1 to 100000000, got 1.5"),
    (embedding_geometry, {"vocabulary_size": 30, "dimensions": 5, "density": 0.5},
     "density 0.5 is too small with 1 block; expected density 1 or blocks at least 2"),
    (embedding_geometry, {"vocabulary_size": 30, "dimensions": 4, "blocks": 9, "density": 0.2},
     "density 0.2 is too small with 4 blocks; expected density at least 0.25"),
    (embedding_geometry, {"vocabulary_size": 30, "dimensions": 4, "blocks": 4, "density": 1.01},
     "density must be in (0, 1], got 1.01"),
    (reduction_factor, {"density": 0.1, "blocks": 2},
     "density 0.1 is too small with 2 blocks; expected density at least 0.5 or blocks at least 10"),
])
def test_refusals(function, arguments, message):
    with pytest.raises(GeometryError) as error:
        function(**arguments)
    assert str(error.value) == message
    assert isinstance(error.value, ReportedError)


def refusal(function, *arguments):
    """Return the message of a refusal, or None."""
    try:
        function(*arguments)
    except GeometryError as error:
        return str(error)


def suggested(message, name):
    """Return the smallest value of an argument that a message suggests, or None."""
    found = re.search(r"%s at least ([\d.e-]+)" % name, message)
    return found and float(found.group(1))


@PROPERTIES
@given(st.integers(2, 500), st.integers(1, 500), st.floats(1e-6, 1.), st.floats(1e-6, 1.))
def test_suggested_reductions_are_possible_and_the_smallest(input_size, hidden_size, reduce_in, reduce_out):
    def attempt(reduce_in, reduce_out):
        return refusal(lstm_geometry, input_size, hidden_size, None, None, reduce_in, reduce_out)

    message = attempt(reduce_in, reduce_out)
    assume(message is not None)
    smallest_out, smallest_in, both = [suggested(message, name) for name in ("reduce_out", "reduce_in", "both")]
    assert smallest_out or smallest_in or both
    if smallest_out:
        assert attempt(reduce_in, smallest_out) is None and attempt(reduce_in, 0.998 * smallest_out) is not None
    if smallest_in:
        assert attempt(smallest_in, reduce_out) is None and attempt(0.998 * smallest_in, reduce_out) is not None
    if both:
        assert attempt(both, both) is None and attempt(0.998 * both, 0.998 * both) is not None
        assert attempt(reduce_in, 1.) is not None and attempt(1., reduce_out) is not None


@PROPERTIES
@given(st.integers(1, 100), st.integers(1, 100), st.integers(1, 100), st.floats(1e-6, 1.))
def test_suggested_densities_and_blocks_are_possible_and_the_smallest(input_size, hidden_size, blocks, density):
    def attempt(blocks, density):
        return refusal(lstm_geometry, input_size, hidden_size, blocks, density)

    assume(blocks <= hidden_size)
    message = attempt(blocks, density)
    assume(message is not None)
    smallest, fewest = suggested(message, "density"), suggested(message, "blocks")
    if smallest:
        assert attempt(blocks, smallest) is None and attempt(blocks, 0.998 * smallest) is not None
    else:
        assert "expected density 1" in message and attempt(blocks, 1.) is None
    if fewest:
        assert attempt(int(fewest), density) is None and attempt(int(fewest) - 1, density) is not None
    else:
        assert all(attempt(number, density) is not None for number in range(1, hidden_size + 1))


SIZES = st.one_of(st.integers(-2, 40), st.sampled_from([10 ** 8, 10 ** 8 + 1, 10 ** 400, np.int64(9), np.int8(-1)]))
# No subnormal numbers: Theano's compiled code switches them off in its process.
NUMBERS = st.one_of(st.floats(1e-300, 1.), st.floats(allow_subnormal=False), st.fractions(), st.integers(-2, 40),
                    st.sampled_from([np.float32(0.5), np.float64("nan"), decimal.Decimal("0.5"), 1j, 10 ** 400,
                                     fractions.Fraction(1, 10 ** 400)]))
ANYTHING = st.one_of(st.none(), st.booleans(), st.text(max_size=5), st.just(np.ones((40, 40))), st.lists(st.none()))


@settings(max_examples=500, deadline=None)
@given(st.one_of(SIZES, NUMBERS, ANYTHING), st.one_of(SIZES, NUMBERS, ANYTHING),
       st.one_of(st.none(), st.integers(-2, 40), NUMBERS, ANYTHING), st.one_of(st.none(), NUMBERS, ANYTHING),
       st.one_of(st.none(), NUMBERS, ANYTHING), st.one_of(st.none(), NUMBERS, ANYTHING))
def test_whatever_is_refused_is_refused_in_one_line(first_size, second_size, blocks, density, reduce_in, reduce_out):
    messages = [refusal(lstm_geometry, first_size, second_size, blocks, density, reduce_in, reduce_out),
                refusal(lstm_geometry, first_size, second_size, None, None, reduce_in, reduce_out),
                refusal(lstm_geometry, first_size, second_size, blocks, density),
                refusal(embedding_geometry, first_size, second_size, blocks, density),
                refusal(reduction_factor, density, blocks)]
    for message in messages:
        assert message is None or ("\n" not in message and len(message) < 300)


# The module

def test_examples():
    failures, examples = doctest.testmod(geometry_module)
    assert examples and not failures


def test_needs_neither_theano_nor_numpy():
    check = "import sys, sparse_seq_theano.geometry; sys.exit(any(name in sys.modules for name in ('theano', 'numpy')))"
    assert subprocess.call([sys.executable, "-c", check], cwd=os.path.dirname(os.path.dirname(geometry_module.__file__))
                           ) == 0
