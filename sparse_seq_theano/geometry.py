"""Geometry of the sparse LSTM and the sparse embedding: segments, blocks and parameter counts, as integers.

The module does not import Theano, so that invalid arguments are reported before anything is compiled.

References
----------
Demeester, Deleu, Godin, Develder: Predefined Sparseness in Recurrent Sequence Models, CoNLL 2018, arXiv:1808.08720,
sections 2 and 3.
"""

import itertools
import math
import numbers
import reprlib
from collections import OrderedDict, namedtuple

from theano_rnn.errors import ReportedError

__all__ = ["GeometryError", "LSTMGeometry", "lstm_geometry", "EmbeddingGeometry", "embedding_geometry",
           "reduction_factor"]

#: Up to this size, the rounding errors of a segment's end in double precision are smaller than `END_MARGIN`.
LARGEST_SIZE = 10 ** 8
#: Added to the end of a segment before it is truncated to an integer.
END_MARGIN = 1e-7
#: Relative tolerance of the smallest density, 1/blocks: users write it as a rounded decimal number.
DENSITY_TOLERANCE = 1e-9
#: Tolerance of `reduction_factor`.
ROOT_TOLERANCE = 1e-6


class GeometryError(ReportedError):
    """Invalid sizes, densities or reductions. The message is one line and states which values are valid."""


class LSTMGeometry(namedtuple("LSTMGeometry", ["input_size", "hidden_size", "components", "density", "input_segments",
                                               "hidden_segments", "reductions"])):
    """Sizes and connections of a sparse LSTM, which consists of independent dense LSTMs. Created by `lstm_geometry`.

    Attributes
    ----------
    input_size, hidden_size, components : int
    density : float
        Fraction of the inputs that each component reads.
    input_segments : tuple of (begin, end)
        Inputs that each component reads, end excluded. Segments overlap.
    hidden_segments : tuple of (begin, end)
        Hidden units of each component, end excluded. The segments are a partition.
    reductions : (float, float) or None
        `reduce_in` and `reduce_out`, if the geometry was created from them.
    """

    __slots__ = ()

    @property
    def parameters(self):
        """int : Number of weights and biases. Each gate and hidden unit has two biases, as in cuDNN."""
        return sum(_dense_parameters(input_end - input_begin, hidden_end - hidden_begin)
                   for (input_begin, input_end), (hidden_begin, hidden_end)
                   in zip(self.input_segments, self.hidden_segments))

    @property
    def sparseness(self):
        """float : Number of parameters divided by that of the dense LSTM of the same sizes; 1 for a dense LSTM."""
        return self.parameters / float(_dense_parameters(self.input_size, self.hidden_size))

    @property
    def dense_equivalent(self):
        """float : Hidden units of the dense LSTM that has as many inputs and parameters; generally not an integer."""
        half = (self.input_size + 2) / 2.
        return math.sqrt(half ** 2 + self.parameters / 4.) - half

    def arguments(self):
        """Return the arguments of `lstm_geometry`: dict of `blocks` and `density`, or of both reductions."""
        if self.reductions is None:
            return {"blocks": self.components, "density": self.density}
        return dict(zip(("reduce_in", "reduce_out"), self.reductions))

    def info(self):
        """Return a description of the geometry for logs.

        Returns
        -------
        OrderedDict
            The fields and properties by name, without `reductions`. If the geometry was created from reductions, also
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
    """Divide the inputs and hidden units of an LSTM among components that are not connected.

    The arguments are either `blocks` and `density`, or the two reductions. With reductions a_i and a_o, the LSTM has
    as many parameters as a dense LSTM of a_i * n_i inputs and a_o * n_o hidden units, up to a difference of
    4 * n_o + k due to rounding, and fewer parameters where d is limited to 1. The number of components k and the
    density d are (arXiv:1808.08720, section 2)::

        k = ceil((n_i + n_o) / free)        with free = a_i * a_o * n_i + a_o ** 2 * n_o + 2 * a_o - 2
        d = min(1, (free - n_o / k) / n_i)

    Parameters
    ----------
    input_size, hidden_size : int
        n_i and n_o, in [1, 10 ** 8].
    blocks : int, optional
        Number of components, in [1, hidden_size]. Default: 1.
    density : float, optional
        Fraction of the inputs that each component reads, in [1/blocks, 1] and at least one input. Default: 1.
    reduce_in, reduce_out : float, optional
        In (0, 1]. k must be less than n_i and at most n_o.

    Returns
    -------
    LSTMGeometry

    Raises
    ------
    GeometryError
        For invalid arguments. The message states which values are valid.

    Notes
    -----
    The published program computes the hidden segments in floating-point arithmetic. For some sizes (40 units and 12
    components) a segment then begins one unit too early, and two components share a unit. Here the segments are always
    a partition.

    Examples
    --------
    >>> lstm_geometry(400, 1150, reduce_in=1, reduce_out=0.66666).input_segments
    ((0, 202), (197, 400))
    >>> lstm_geometry(10, 10, blocks=1, density=1).parameters       # a dense LSTM
    880
    >>> lstm_geometry(10, 10, blocks=5, density=0.1)
    Traceback (most recent call last):
        ...
    sparse_seq_theano.geometry.GeometryError: density 0.1 is too small with 5 blocks; expected density at least 0.2 \
or blocks at least 10
    """
    input_size, hidden_size = _integer("input_size", input_size), _integer("hidden_size", hidden_size)
    by_blocks = blocks is not None or density is not None
    by_reductions = reduce_in is not None or reduce_out is not None
    if by_blocks == by_reductions:
        raise GeometryError("expected either blocks and density (1 and 1 for a dense LSTM) or reduce_in and "
                            "reduce_out, got %s" % ("both" if by_blocks else "neither"))
    if by_blocks:
        components = _integer("blocks", 1 if blocks is None else blocks)
        if components > hidden_size:
            raise GeometryError("blocks must be at most the number of hidden units, %d, got %d"
                                % (hidden_size, components))
        density = _density(1. if density is None else density, components, hidden_size, input_size)
    else:
        for name, value in (("reduce_in", reduce_in), ("reduce_out", reduce_out)):
            if value is None:
                raise GeometryError("reduce_in and reduce_out must be given together, but %s is missing (1 keeps the "
                                    "size)" % name)
        reduce_in, reduce_out = _fraction("reduce_in", reduce_in), _fraction("reduce_out", reduce_out)
        components = _components(input_size, hidden_size, reduce_in, reduce_out)
        # Not computed with _free: a different order of operations can round a segment to a different integer.
        density = min(1., (reduce_in * reduce_out * input_size + reduce_out ** 2 * hidden_size + 2 * reduce_out
                           - hidden_size / float(components) - 2) / input_size)
    return LSTMGeometry(input_size, hidden_size, components, density,
                        _input_segments(input_size, components, density),
                        tuple((index * hidden_size // components, (index + 1) * hidden_size // components)
                              for index in range(components)),
                        (reduce_in, reduce_out) if by_reductions else None)


class EmbeddingGeometry(namedtuple("EmbeddingGeometry", ["vocabulary_size", "dimensions", "blocks", "density",
                                                         "start_rows", "widths"])):
    """Sizes of a sparse embedding, a matrix of column blocks that store only their last rows.

    Created by `embedding_geometry`.

    Attributes
    ----------
    vocabulary_size, dimensions, blocks : int
    density : float
        Requested density; see `empirical_density`.
    start_rows, widths : tuple of int
        Block j has widths[j] columns and stores the rows start_rows[j], ..., vocabulary_size - 1 of them. It stores no
        row if start_rows[j] is vocabulary_size.
    """

    __slots__ = ()

    @property
    def parameters(self):
        """int : Number of stored weights."""
        return sum((self.vocabulary_size - start) * width for start, width in zip(self.start_rows, self.widths))

    @property
    def empirical_density(self):
        """float : Fraction of the matrix entries that are stored."""
        return self.parameters / float(self.vocabulary_size * self.dimensions)

    @property
    def block_columns(self):
        """tuple of (begin, end) : Columns of each block, end excluded."""
        ends = list(itertools.accumulate(self.widths))
        return tuple(zip([0] + ends[:-1], ends))

    @property
    def row_segments(self):
        """list of (begin_row, end_row, columns) : Ranges of rows that are stored in the same blocks.

        The ranges cover all rows. Block j stores a range if ``start_rows[j] <= begin_row``. All stored entries are in
        the first `columns` columns. These columns are stored completely unless the last block, which takes the
        remaining parameters, starts above another block.

        Examples
        --------
        >>> embedding_geometry(100, 7, density=0.9, blocks=3).row_segments
        [(0, 11, 2), (11, 16, 4), (16, 100, 7)]
        >>> geometry = embedding_geometry(25, 14, density=0.352, blocks=3)
        >>> geometry.start_rows, geometry.widths
        ((0, 24, 22), (4, 4, 6))
        >>> geometry.row_segments                       # columns 4 to 7 of rows 22 and 23 are not stored
        [(0, 22, 4), (22, 24, 14), (24, 25, 14)]
        """
        bounds = sorted(set(self.start_rows) | {self.vocabulary_size})
        blocks = list(zip(self.start_rows, itertools.accumulate(self.widths)))
        return [(begin, end, max(columns for start, columns in blocks if start <= begin))
                for begin, end in zip(bounds[:-1], bounds[1:])]


def embedding_geometry(vocabulary_size, dimensions, blocks=1, density=1.):
    """Choose the rows of each column block of an embedding matrix. Frequent words get longer vectors.

    The vocabulary is sorted from the least to the most frequent word. The first block stores all rows. From each block
    to the next, the number of rows is multiplied by the `reduction_factor` of the remaining density. The last block
    takes the remaining parameters of ``floor(vocabulary_size * dimensions * density)``, rounded to rows
    (arXiv:1808.08720, section 3).

    Parameters
    ----------
    vocabulary_size, dimensions : int
        Rows and columns, in [1, 10 ** 8].
    blocks : int
        Column blocks. A value above `dimensions` has the effect of `dimensions`.
    density : float
        Fraction of the matrix entries that are stored, in [1/blocks, 1].

    Returns
    -------
    EmbeddingGeometry

    Raises
    ------
    GeometryError
        For invalid arguments. The message states which values are valid.

    Examples
    --------
    >>> embedding_geometry(100, 10, blocks=10, density=0.3).start_rows
    (0, 33, 55, 70, 80, 87, 91, 94, 95, 95)
    """
    vocabulary_size, dimensions = _integer("vocabulary_size", vocabulary_size), _integer("dimensions", dimensions)
    blocks = min(_integer("blocks", blocks), dimensions)
    density = _density(density, blocks, dimensions)
    width = dimensions // blocks
    widths = (width,) * (blocks - 1) + (dimensions - (blocks - 1) * width,)

    total = vocabulary_size * dimensions * density
    rows, placed, start_rows, remaining_density = vocabulary_size, vocabulary_size * width, [0], density
    for index in range(1, blocks - 1):
        rows -= int(math.ceil(rows * (1 - reduction_factor(remaining_density, blocks - index + 1))))
        start_rows.append(vocabulary_size - rows)
        remaining_density = (total - placed) / max(1, rows * (dimensions - index * width))
        # Rounding to rows and a wider last block can move the density out of its valid range.
        remaining_density = min(1., max(1. / (blocks - index), remaining_density))
        placed += rows * width
    if blocks > 1:
        last_rows = int(round((math.floor(total) - placed) / float(widths[-1])))
        start_rows.append(vocabulary_size - min(vocabulary_size, max(0, last_rows)))
    return EmbeddingGeometry(vocabulary_size, dimensions, blocks, density, tuple(start_rows), widths)


def reduction_factor(density, blocks):
    """Return the factor between the row counts of consecutive blocks that results in a given density.

    Solves ``density = (1 + alpha + ... + alpha ** (blocks - 1)) / blocks`` for alpha by bisection, to 1e-6. All blocks
    are equally wide.

    Parameters
    ----------
    density : float
        In [1/blocks, 1].
    blocks : int
        At least 1.

    Returns
    -------
    float
        alpha in [0, 1]. At 0 only the first block has rows, at 1 all blocks have all rows.

    Raises
    ------
    GeometryError
        If `density` or `blocks` is out of its range.

    Examples
    --------
    >>> reduction_factor(0.75, 2)
    0.5
    """
    blocks = _integer("blocks", blocks)
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
    """Return overlapping segments. The order of operations determines the rounding and the published counts."""
    if components == 1:
        return ((0, total),)
    length = total * density
    overlap = total * (components * density - 1) / (components - 1)
    begins = [index * (length - overlap) for index in range(components)]
    ends = [int(begin + length + END_MARGIN) for begin in begins[:-1]] + [total]
    return tuple((int(begin), end) for begin, end in zip(begins, ends))


def _free(input_size, hidden_size, reduce_in, reduce_out):
    """Return ``parameters / (4 n_o) - 2``: parameters of the reduced dense LSTM, without the sparse LSTM's biases."""
    return reduce_in * reduce_out * input_size + reduce_out ** 2 * hidden_size + 2 * reduce_out - 2


def _components(input_size, hidden_size, reduce_in, reduce_out):
    """Return the number of components for two reductions, or raise a `GeometryError`."""
    most = min(hidden_size, input_size - 1)

    def needed(reduce_in, reduce_out):
        free = _free(input_size, hidden_size, reduce_in, reduce_out)
        return (input_size + hidden_size) / free if free > 0 else float("inf")

    quotient = needed(reduce_in, reduce_out)
    if quotient <= most:
        return int(math.ceil(quotient))
    sizes = "%s and %s" % (_count(input_size, "input"), _count(hidden_size, "hidden unit"))
    if most == 0:
        raise GeometryError("reduce_in and reduce_out need at least 2 inputs, got %s; use blocks=1 and density=1 for a "
                            "dense LSTM" % sizes)
    smallest_out = _smallest(lambda value: needed(reduce_in, value) <= most)
    smallest_in = _smallest(lambda value: needed(value, reduce_out) <= most)
    choices = [text % value for text, value in (("reduce_out at least %r", smallest_out),
                                                ("reduce_in at least %r", smallest_in)) if value is not None]
    if not choices:
        choices = ["both at least %r" % _smallest(lambda value: needed(value, value) <= most)]
    raise GeometryError("reduce_in %r and reduce_out %r with %s %s; expected %s" % (
        reduce_in, reduce_out, sizes,
        "leave too few parameters for any number of components" if math.isinf(quotient) else
        "need %d components, more than the maximum, %d" % (math.ceil(quotient), most), " or ".join(choices)))


def _smallest(accepted):
    """Return the smallest accepted number in (0, 1], rounded up to four digits, or None. `accepted` is monotonic."""
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


def _integer(name, value):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or not 1 <= value <= LARGEST_SIZE:
        raise GeometryError("%s must be an integer from 1 to %d, got %s" % (name, LARGEST_SIZE, _quoted(value)))
    return int(value)


def _fraction(name, value):
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < value <= 1:
        raise GeometryError("%s must be in (0, 1], got %s" % (name, _quoted(value)))
    return float(value)


def _density(value, blocks, most_blocks=LARGEST_SIZE, input_size=LARGEST_SIZE):
    """Check that a density is at least 1/blocks, so that all inputs are read, and at least one input."""
    density = _fraction("density", value)
    lowest = max(1. / blocks, 1. / input_size)
    if density < lowest * (1 - DENSITY_TOLERANCE):
        choice = "density 1" if lowest == 1 else "density at least %r" % _smallest(lambda value: value >= lowest)
        limit = min(most_blocks, input_size)
        if density * limit >= 1:
            choice += " or blocks at least %d" % min(limit, math.ceil(1 / density))
        few_inputs = " and %s" % _count(input_size, "input") if lowest * blocks > 1 else ""
        raise GeometryError("density %r is too small with %s%s; expected %s"
                            % (density, _count(blocks, "block"), few_inputs, choice))
    return max(density, lowest)


def _count(number, noun):
    return "%d %s%s" % (number, noun, "" if number == 1 else "s")


def _quoted(value):
    """Return a value as text for a message of one line."""
    return " ".join(reprlib.repr(value).split())
