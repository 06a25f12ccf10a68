"""Where a sparse LSTM and a sparse embedding have weights: segments, blocks, parameter counts. Whole numbers only.

Reference: Demeester, Deleu, Godin, Develder, "Predefined Sparseness in Recurrent Sequence Models", CoNLL 2018,
arXiv 1808.08720. Needs no Theano, so that impossible arguments are refused before anything slow happens.
"""

import itertools
import math
import numbers
import reprlib
from collections import OrderedDict, namedtuple

from theano_rnn.errors import ReportedError

__all__ = ["GeometryError", "LSTMGeometry", "lstm_geometry", "EmbeddingGeometry", "embedding_geometry",
           "reduction_factor"]

# Up to here double precision keeps the rounding errors of a segment's end below END_MARGIN.
LARGEST_SIZE = 10 ** 8
END_MARGIN = 1e-7
# A density of 1/blocks written as a decimal number may be this much (relatively) too small.
DENSITY_TOLERANCE = 1e-9
ROOT_TOLERANCE = 1e-6


class GeometryError(ReportedError):
    """Impossible sizes, densities or reductions; the message, one line, says which would be possible."""


class LSTMGeometry(namedtuple("LSTMGeometry", ["input_size", "hidden_size", "components", "density", "input_segments",
                                               "hidden_segments", "reductions"])):
    """A sparse LSTM: dense LSTMs side by side; made by `lstm_geometry`.

    Attributes
    ----------
    input_size, hidden_size, components : int
    density : float
        The fraction of the inputs that each component reads.
    input_segments, hidden_segments : tuple of (begin, end)
        What component c reads (segments overlap) and the hidden units it has (a partition), end excluded.
    reductions : (float, float) or None
        `reduce_in` and `reduce_out`, if made from them.
    """

    __slots__ = ()

    @property
    def parameters(self):
        """int : Weights and biases; every component has two biases per gate and hidden unit, as in cuDNN."""
        return sum(_dense_parameters(input_end - input_begin, hidden_end - hidden_begin)
                   for (input_begin, input_end), (hidden_begin, hidden_end)
                   in zip(self.input_segments, self.hidden_segments))

    @property
    def sparseness(self):
        """float : The parameters as a fraction of those of the dense LSTM of the same sizes (1: dense)."""
        return self.parameters / float(_dense_parameters(self.input_size, self.hidden_size))

    @property
    def dense_equivalent(self):
        """float : Hidden units of a dense LSTM with the same inputs and as many parameters (not a whole number)."""
        half = (self.input_size + 2) / 2.
        return math.sqrt(half ** 2 + self.parameters / 4.) - half

    def arguments(self):
        """What `lstm_geometry`, and the layer, made this from: dict of blocks and density, or of both reductions."""
        if self.reductions is None:
            return {"blocks": self.components, "density": self.density}
        return dict(zip(("reduce_in", "reduce_out"), self.reductions))

    def info(self):
        """Everything about the geometry, for logs.

        Returns
        -------
        OrderedDict
            The fields and properties by name, without `reductions`; if made from reductions also
            `reduced_input_size` and `reduced_hidden_size`, the sizes of the dense LSTM with as many parameters.

        Examples
        --------
        >>> geometry = lstm_geometry(20, 20, blocks=4, density=0.5)
        >>> for name, value in geometry.info().items():
        ...     print(name, value)                              # doctest: +ELLIPSIS
        input_size 20
        hidden_size 20
        components 4
        density 0.5
        input_segments ((0, 10), (3, 13), (6, 16), (10, 20))
        hidden_segments ((0, 5), (5, 10), (10, 15), (15, 20))
        parameters 1360
        sparseness 0.40476190476190477
        dense_equivalent 10.47...
        """
        names = ("input_size", "hidden_size", "components", "density", "input_segments", "hidden_segments",
                 "parameters", "sparseness", "dense_equivalent")
        result = OrderedDict((name, getattr(self, name)) for name in names)
        if self.reductions is not None:
            reduce_in, reduce_out = self.reductions
            result["reduced_input_size"] = reduce_in * self.input_size
            result["reduced_hidden_size"] = reduce_out * self.hidden_size
        return result


LSTMGeometry.__new__.__defaults__ = (None,)     # reductions; namedtuple's own `defaults` needs Python 3.7


def lstm_geometry(input_size, hidden_size, blocks=None, density=None, reduce_in=None, reduce_out=None):
    """Divide the inputs and hidden units of an LSTM among components without connections between them.

    Given `blocks` and `density`, or the two reductions. From reductions a_i and a_o follow the number of components
    k and the density d with which the LSTM has as many parameters as a dense one of a_i * n_i inputs and
    a_o * n_o hidden units, give or take 4 * n_o + k for whole numbers; fewer where d would have to be above 1::

        k = ceil((n_i + n_o) / free)        with free = a_i * a_o * n_i + a_o ** 2 * n_o + 2 * a_o - 2
        d = min(1, (free - n_o / k) / n_i)

    Parameters
    ----------
    input_size, hidden_size : int
        n_i and n_o, from 1 to 10 ** 8.
    blocks : int, optional
        The number of components, at most `hidden_size`; 1 if only `density` is given.
    density : float, optional
        The fraction of the inputs that a component reads: at least 1/blocks, at least one input, at most 1; 1 if only
        `blocks` is given.
    reduce_in, reduce_out : float, optional
        Above 0, at most 1; k must be below n_i and at most n_o.

    Returns
    -------
    LSTMGeometry

    Raises
    ------
    GeometryError
        For anything else; says what would be possible.

    Notes
    -----
    The published program finds the hidden segments in floating-point arithmetic, where now and then (40 units, 12
    components) one begins a unit early and the LSTM has a unit too many; here they always are a partition.

    Examples
    --------
    >>> lstm_geometry(400, 1150, reduce_in=1, reduce_out=0.66666).input_segments
    ((0, 202), (197, 400))
    >>> lstm_geometry(10, 10, blocks=1, density=1).parameters       # a dense LSTM
    880
    >>> lstm_geometry(10, 10, blocks=5, density=0.1)
    Traceback (most recent call last):
        ...
    sparse_seq_theano.geometry.GeometryError: density 0.1 is too small with 5 blocks; choose density at least 0.2 or \
blocks at least 10
    """
    input_size, hidden_size = _whole("input_size", input_size), _whole("hidden_size", hidden_size)
    by_blocks = blocks is not None or density is not None
    by_reductions = reduce_in is not None or reduce_out is not None
    if by_blocks == by_reductions:
        raise GeometryError("%s given; choose either blocks and density (1 and 1: a dense LSTM) or reduce_in and "
                            "reduce_out" % ("both blocks or density and reductions are" if by_blocks
                                            else "neither blocks and density nor reductions are"))
    if by_blocks:
        components = _whole("blocks", 1 if blocks is None else blocks)
        if components > hidden_size:
            raise GeometryError("blocks %d is more than the number of hidden units; choose blocks at most %d"
                                % (components, hidden_size))
        density = _density(1. if density is None else density, components, hidden_size, input_size)
    else:
        for name, value in (("reduce_in", reduce_in), ("reduce_out", reduce_out)):
            if value is None:
                raise GeometryError("%s is missing; give both reduce_in and reduce_out (1 keeps the size)" % name)
        reduce_in, reduce_out = _fraction("reduce_in", reduce_in), _fraction("reduce_out", reduce_out)
        components = _components(input_size, hidden_size, reduce_in, reduce_out)
        # Not from _free: another order of operations can round a segment to another whole number.
        density = min(1., (reduce_in * reduce_out * input_size + reduce_out ** 2 * hidden_size + 2 * reduce_out
                           - hidden_size / float(components) - 2) / input_size)
    return LSTMGeometry(input_size, hidden_size, components, density,
                        _input_segments(input_size, components, density),
                        tuple((index * hidden_size // components, (index + 1) * hidden_size // components)
                              for index in range(components)),
                        (reduce_in, reduce_out) if by_reductions else None)


class EmbeddingGeometry(namedtuple("EmbeddingGeometry", ["vocabulary_size", "dimensions", "blocks", "density",
                                                         "start_rows", "widths"])):
    """A sparse embedding matrix: blocks of columns that hold only the last rows; made by `embedding_geometry`.

    Attributes
    ----------
    vocabulary_size, dimensions, blocks : int
    density : float
        As asked for; see `empirical_density`.
    start_rows, widths : tuple of int
        Block j has the rows start_rows[j] to vocabulary_size - 1 (none if equal to it) of its widths[j] columns.
    """

    __slots__ = ()

    @property
    def parameters(self):
        """int : The number of weights."""
        return sum((self.vocabulary_size - start) * width for start, width in zip(self.start_rows, self.widths))

    @property
    def empirical_density(self):
        """float : The fraction of the matrix that has weights."""
        return self.parameters / float(self.vocabulary_size * self.dimensions)

    @property
    def block_columns(self):
        """tuple of (begin, end) : The columns of every block, end excluded."""
        ends = list(itertools.accumulate(self.widths))
        return tuple(zip([0] + ends[:-1], ends))

    @property
    def row_segments(self):
        """list of (begin_row, end_row, columns) : Runs of rows with weights in the same blocks, covering all rows.

        Block j has weights in a run if ``start_rows[j] <= begin_row``. All of them are in the first `columns` columns;
        these are full unless the last block, which takes the parameters that are left, starts above another one.

        Examples
        --------
        >>> embedding_geometry(100, 7, density=0.9, blocks=3).row_segments
        [(0, 11, 2), (11, 16, 4), (16, 100, 7)]
        >>> geometry = embedding_geometry(25, 14, density=0.352, blocks=3)
        >>> geometry.start_rows, geometry.widths
        ((0, 24, 22), (4, 4, 6))
        >>> geometry.row_segments                       # in rows 22 and 23 columns 4 to 7 have no weights
        [(0, 22, 4), (22, 24, 14), (24, 25, 14)]
        """
        bounds = sorted(set(self.start_rows) | {self.vocabulary_size})
        blocks = list(zip(self.start_rows, itertools.accumulate(self.widths)))
        return [(begin, end, max(columns for start, columns in blocks if start <= begin))
                for begin, end in zip(bounds[:-1], bounds[1:])]


def embedding_geometry(vocabulary_size, dimensions, blocks=1, density=1.):
    """Choose the rows of every block of columns of an embedding matrix, so that frequent words have longer vectors.

    The vocabulary is sorted from the least to the most frequent word. The first block has all rows. From one block to
    the next the number of rows shrinks by the `reduction_factor` of what is still to be placed; the last block takes
    the rest of ``floor(vocabulary_size * dimensions * density)`` parameters, rounded to rows.

    Parameters
    ----------
    vocabulary_size, dimensions : int
        Rows and columns, from 1 to 10 ** 8.
    blocks : int
        Blocks of columns; more than `dimensions` count as `dimensions`.
    density : float
        The fraction of the matrix that has weights, from 1/blocks to 1.

    Returns
    -------
    EmbeddingGeometry

    Raises
    ------
    GeometryError
        For anything else; says what would be possible.

    Examples
    --------
    >>> embedding_geometry(100, 10, blocks=10, density=0.3).start_rows
    (0, 33, 55, 70, 80, 87, 91, 94, 95, 95)
    """
    vocabulary_size, dimensions = _whole("vocabulary_size", vocabulary_size), _whole("dimensions", dimensions)
    blocks = min(_whole("blocks", blocks), dimensions)
    density = _density(density, blocks, dimensions)
    width = dimensions // blocks
    widths = (width,) * (blocks - 1) + (dimensions - (blocks - 1) * width,)

    total = vocabulary_size * dimensions * density
    rows, placed, start_rows, remaining_density = vocabulary_size, vocabulary_size * width, [0], density
    for index in range(1, blocks - 1):
        rows -= int(math.ceil(rows * (1 - reduction_factor(remaining_density, blocks - index + 1))))
        start_rows.append(vocabulary_size - rows)
        remaining_density = (total - placed) / max(1, rows * (dimensions - index * width))
        # Rounding to rows, and a last block wider than the others, can carry it out of the possible range.
        remaining_density = min(1., max(1. / (blocks - index), remaining_density))
        placed += rows * width
    if blocks > 1:
        last_rows = int(round((math.floor(total) - placed) / float(widths[-1])))
        start_rows.append(vocabulary_size - min(vocabulary_size, max(0, last_rows)))
    return EmbeddingGeometry(vocabulary_size, dimensions, blocks, density, tuple(start_rows), widths)


def reduction_factor(density, blocks):
    """The factor by which equally wide blocks of rows must shrink, one after the other, to have a density together.

    Solves ``density = (1 + alpha + ... + alpha ** (blocks - 1)) / blocks`` by bisection to 1e-6.

    Parameters
    ----------
    density : float
        From 1/blocks to 1.
    blocks : int
        At least 1.

    Returns
    -------
    float
        alpha, from 0 (only the first block has rows) to 1 (all blocks have all rows).

    Raises
    ------
    GeometryError
        If the density is out of its range or `blocks` is not a positive whole number.

    Examples
    --------
    >>> reduction_factor(0.75, 2)
    0.5
    """
    blocks = _whole("blocks", blocks)
    density = _density(density, blocks)
    if density in (1., 1. / blocks):
        return float(density == 1.)
    lower, step, excess = 0., 1., None
    while step >= ROOT_TOLERANCE and excess != 0:
        step /= 2
        alpha = lower + step
        excess = (1 - alpha ** blocks) / (1 - alpha) / blocks - density
        if excess <= 0:
            lower = alpha
    return alpha


def _dense_parameters(input_size, hidden_size):
    return 4 * hidden_size * (input_size + hidden_size + 2)


def _input_segments(total, components, density):
    """Overlapping segments; the order of operations decides the rounding and with it published parameter counts."""
    if components == 1:
        return ((0, total),)
    length = total * density
    overlap = total * (components * density - 1) / (components - 1)
    begins = [index * (length - overlap) for index in range(components)]
    ends = [int(begin + length + END_MARGIN) for begin in begins[:-1]] + [total]
    return tuple((int(begin), end) for begin, end in zip(begins, ends))


def _free(input_size, hidden_size, reduce_in, reduce_out):
    """A quarter of the parameters of the reduced dense LSTM per hidden unit, less the two biases of the sparse one."""
    return reduce_in * reduce_out * input_size + reduce_out ** 2 * hidden_size + 2 * reduce_out - 2


def _components(input_size, hidden_size, reduce_in, reduce_out):
    """The number of components that reductions ask for; refuses impossible ones."""
    most = min(hidden_size, input_size - 1)

    def needed(reduce_in, reduce_out):
        free = _free(input_size, hidden_size, reduce_in, reduce_out)
        return (input_size + hidden_size) / free if free > 0 else float("inf")

    quotient = needed(reduce_in, reduce_out)
    if quotient <= most:
        return int(math.ceil(quotient))
    sizes = "%s and %s" % (_count(input_size, "input"), _count(hidden_size, "hidden unit"))
    if most == 0:
        raise GeometryError("reduce_in and reduce_out need at least 2 inputs, not %s; choose blocks=1 and density=1, a "
                            "dense LSTM" % sizes)
    smallest_out = _smallest(lambda value: needed(reduce_in, value) <= most)
    smallest_in = _smallest(lambda value: needed(value, reduce_out) <= most)
    choices = [text % value for text, value in (("reduce_out at least %r", smallest_out),
                                                ("reduce_in at least %r", smallest_in)) if value is not None]
    if not choices:
        choices = ["both at least %r" % _smallest(lambda value: needed(value, value) <= most)]
    raise GeometryError("reduce_in %r and reduce_out %r with %s %s; choose %s" % (
        reduce_in, reduce_out, sizes,
        "leave too few parameters for any number of components" if math.isinf(quotient) else
        "would need %d components, more than the possible %d" % (math.ceil(quotient), most), " or ".join(choices)))


def _smallest(accepted):
    """The smallest accepted number in (0, 1], rounded up to four digits, or None; all above it must be accepted too."""
    if not accepted(1.):
        return None
    lower, upper = 0., 1.
    while lower < (lower + upper) / 2 < upper:
        middle = (lower + upper) / 2
        lower, upper = (lower, middle) if accepted(middle) else (middle, upper)
    rounded = float("%.3e" % upper)
    if not accepted(rounded):
        rounded = float("%.3e" % (rounded + 10. ** (math.floor(math.log10(upper)) - 3)))
    return rounded


def _whole(name, value):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or not 1 <= value <= LARGEST_SIZE:
        raise GeometryError("%s %s is not possible; choose a whole number from 1 to %d"
                            % (name, _quoted(value), LARGEST_SIZE))
    return int(value)


def _fraction(name, value):
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < value <= 1:
        raise GeometryError("%s %s is not possible; choose a number above 0 and at most 1" % (name, _quoted(value)))
    return float(value)


def _density(value, blocks, most_blocks=LARGEST_SIZE, input_size=LARGEST_SIZE):
    """Check a density against its lower limits: all blocks together cover everything, a component reads an input."""
    density = _fraction("density", value)
    lowest = max(1. / blocks, 1. / input_size)
    if density < lowest * (1 - DENSITY_TOLERANCE):
        choice = "density 1" if lowest == 1 else "density at least %r" % _smallest(lambda value: value >= lowest)
        limit = min(most_blocks, input_size)
        if density * limit >= 1:
            choice += " or blocks at least %d" % min(limit, math.ceil(1 / density))
        few_inputs = " and %s" % _count(input_size, "input") if lowest * blocks > 1 else ""
        raise GeometryError("density %r is too small with %s%s; choose %s"
                            % (density, _count(blocks, "block"), few_inputs, choice))
    return max(density, lowest)


def _count(number, noun):
    return "%d %s%s" % (number, noun, "" if number == 1 else "s")


def _quoted(value):
    """A value for a message of one line."""
    return " ".join(reprlib.repr(value).split())
