"""The fused recurrence against the reference implementation, and both against the formulas of an LSTM."""

from collections import OrderedDict

from theano_rnn.ops.lstm import lstm_recurrence
from theano_rnn.ops.lstm.fused import LSTMRecurrence, LSTMRecurrenceGradient

import numpy as np
import pytest
import theano
import theano.tensor as T
from helpers.backends import OPTIMISED, UNOPTIMISED, assert_close, both, needs_fused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# dtype, gate_nonlinearity, backwards, mask, z_gates, z_hid ("rows": one each, "one": one for all), components.
CASES = {
    "plain": ("float32", "sigmoid", False, False, None, None, 1),
    "all": ("float32", "hard_sigmoid", False, True, "rows", "rows", 1),
    "broadcast": ("float64", "sigmoid", True, True, "one", "one", 1),
    "gates": ("float64", "hard_sigmoid", True, False, "rows", None, 1),
    "two components": ("float32", "sigmoid", False, False, None, None, 2),
    "three components": ("float32", "hard_sigmoid", True, True, "rows", "one", 3),
    "four components": ("float64", "sigmoid", False, True, "one", "rows", 4),
}
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
quickly = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


PER_COMPONENT = ("preactivation", "W_hid")


def names_of(kind, components):
    """Return the names that `variables` gives to the preactivations or to the W_hid."""
    return [kind] if components == 1 else ["%s_%d" % (kind, c) for c in range(components)]


def variables(dtype, mask=False, z_gates=None, z_hid=None, components=1):
    """Return the arguments of `lstm_recurrence` as symbolic variables: OrderedDict by name."""
    def variable(*broadcastable):
        return T.TensorType(dtype, broadcastable)()

    v = OrderedDict((name, variable(False, False, False)) for name in names_of("preactivation", components))
    v.update((name, variable(False, False)) for name in names_of("W_hid", components))
    v.update([("b", variable(False)), ("hid_init", variable(False, False)), ("cell_init", variable(False, False))])
    if mask:
        v["mask"] = variable(False, False)
    for name, kind in (("z_gates", z_gates), ("z_hid", z_hid)):
        if kind:
            v[name] = variable(kind == "one", False)
    return v


def values(v, steps, rows, units, seed):
    """Return values for `variables`, and for the gradients of hid and cell. `units`: a number, or one per component."""
    rng = np.random.RandomState(seed)
    sizes = [units] if np.isscalar(units) else units
    units = sum(sizes)
    shapes = dict(b=(4 * units,), hid_init=(rows, units), cell_init=(rows, units), mask=(steps, rows),
                  z_gates=(rows, 4 * units), z_hid=(rows, units))
    shapes.update((name, (steps, rows, 4 * size)) for name, size in zip(names_of("preactivation", len(sizes)), sizes))
    shapes.update((name, (size, 4 * size)) for name, size in zip(names_of("W_hid", len(sizes)), sizes))
    arrays = []
    for name, variable in v.items():
        shape = shapes[name]
        if variable.broadcastable[0]:
            shape = (1,) + shape[1:]
        x = rng.rand(*shape) < 0.7 if name == "mask" else 1.5 * rng.randn(*shape)
        if name.startswith("z_"):                   # around 1, as in use: large factors also multiply what is rounded
            x = 1 + x / 5
        arrays.append((x / np.sqrt(4 * len(x)) if name.startswith("W_hid") else x).astype(v["b"].dtype))
    return arrays, [rng.randn(steps, rows, units).astype(v["b"].dtype) for _ in range(2)]


def recurrence_of(v, **options):
    """Return `lstm_recurrence` of `variables`."""
    arguments = dict((name, x) for name, x in v.items() if not name.startswith(PER_COMPONENT))
    for kind in PER_COMPONENT:
        given_ = [x for name, x in v.items() if name.startswith(kind)]
        arguments[kind] = given_ if len(given_) > 1 else given_[0]
    return lstm_recurrence(**dict(arguments, **options))


class compiled_as(object):
    """Context in which Theano's default mode is `mode`, also for the inner function of a scan."""

    def __init__(self, mode):
        self.mode = theano.compile.mode.get_mode(mode)

    def __enter__(self):
        # Theano reads config.mode once and stores the mode here.
        self.before = theano.compile.mode.instantiated_default_mode
        theano.compile.mode.instantiated_default_mode = self.mode

    def __exit__(self, *_):
        theano.compile.mode.instantiated_default_mode = self.before


def build(v, backend, connected=(True, True), **options):
    """Return a function of the arguments and the gradients of hid and cell: hid, cell, gradients of the arguments."""
    # In C, the scan takes most of a minute to compile; in Python, a second.
    with compiled_as(UNOPTIMISED if backend == "reference" else OPTIMISED):
        hid, cell = recurrence_of(v, backend=backend, **options)
        upstream = [T.TensorType(v["b"].dtype, (False,) * 3)() for _ in range(2)]
        known = OrderedDict((state, g) for state, g, there in zip((hid, cell), upstream, connected) if there)
        gradients = T.grad(None, [x for name, x in v.items() if name != "mask"], known_grads=known)
        return theano.function(list(v.values()) + upstream, [hid, cell] + gradients, on_unused_input="ignore")


class Case(object):
    """One of `CASES`, compiled when first used."""

    def __init__(self, name):
        self.dtype, gate, backwards, mask, z_gates, z_hid, self.components = CASES[name]
        self.options = dict(gate_nonlinearity=gate, backwards=backwards)
        self.variables = variables(self.dtype, mask, z_gates, z_hid, self.components)
        self.names = ["hid", "cell"] + [name for name in self.variables if name != "mask"]
        self.functions = {}

    def __call__(self, backend, arguments):
        """Return a dict: hid, cell, and the gradients by the names of the arguments."""
        if backend not in self.functions:
            self.functions[backend] = build(self.variables, backend, **self.options)
        return OrderedDict(zip(self.names, self.functions[backend](*arguments)))


@pytest.fixture(scope="module")
def cases():
    return dict((name, Case(name)) for name in CASES)


def shapes(components=1):
    """Strategy of T, B, H (a tuple for several components) and a seed."""
    units = st.integers(1, 40)
    return st.tuples(st.integers(1, 7), st.integers(1, 20),
                     units if components == 1 else st.lists(units, min_size=components, max_size=components),
                     st.integers(0, 2 ** 32 - 1))


@needs_fused
@pytest.mark.parametrize("name", sorted(CASES))
def test_fused_equals_reference(cases, name):
    case = cases[name]

    @quickly
    @given(shapes(case.components))
    def check(shape):
        arrays, upstream = values(case.variables, *shape)
        expected, actual = case("reference", arrays + upstream), case("fused", arrays + upstream)
        for key in expected:
            assert_close(actual[key], expected[key], case.dtype, TOLERANCE[case.dtype])

    check()


@needs_fused
@pytest.mark.parametrize("shape", [(3, 9, 150), (2, 70, 64), (40, 33, 16), (5, 13, 330)])
def test_fused_equals_reference_with_many_units_and_rows(cases, shape):
    for case in (cases["all"], cases["broadcast"]):
        arrays, upstream = values(case.variables, *(shape + (1,)))
        expected, actual = case("reference", arrays + upstream), case("fused", arrays + upstream)
        for key in expected:
            assert_close(actual[key], expected[key], case.dtype, TOLERANCE[case.dtype])


@needs_fused
@pytest.mark.parametrize("name, shape", [
    ("all", (30, 37, 64)),                          # enough work for three threads, which divide the rows
    ("all", (9, 5, 300)), ("plain", (16, 1, 520)),  # too few rows for three threads: they divide the units
    ("three components", (4, 7, (520, 1, 290)))])
def test_fused_does_not_depend_on_threads_or_memory_order(cases, monkeypatch, name, shape):
    case = cases[name]
    arrays, upstream = values(case.variables, *(shape + (0,)))
    results = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        results.append(case("fused", arrays + upstream))
    strided = [np.asfortranarray(x) if x.ndim == 2 else np.repeat(x, 2, axis=1)[:, ::2] if x.ndim == 3 else x
               for x in arrays]
    results.append(case("fused", strided + upstream))
    for result in results[1:]:
        for key in result:
            np.testing.assert_array_equal(result[key], results[0][key], err_msg=key)


def numpy_lstm(preactivation, W_hid, b, hid, cell, mask=None, z_gates=1, z_hid=1, hard=True):
    """Return h and c of all steps by the formulas."""
    hids, cells = [], []
    for t, x in enumerate(preactivation):
        a_in, a_forget, a_cell, a_out = np.split((x + hid.dot(W_hid)) * z_gates + b, 4, axis=1)
        gate = (lambda a: np.clip(0.2 * a + 0.5, 0, 1)) if hard else (lambda a: 1 / (1 + np.exp(-a)))
        new_cell = gate(a_forget) * cell + gate(a_in) * np.tanh(a_cell)
        new_hid = gate(a_out) * np.tanh(new_cell) * z_hid
        keep = np.ones((len(x), 1)) if mask is None else mask[t][:, np.newaxis]
        hid, cell = np.where(keep, new_hid, hid), np.where(keep, new_cell, cell)
        hids.append(hid)
        cells.append(cell)
    return np.array(hids), np.array(cells)


@both
def test_components_are_separate_recurrences(cases, backend):
    together, single = cases["two components"], cases["plain"]
    sizes = (19, 33)
    arrays, upstream = values(together.variables, 4, 5, sizes, 0)
    given_ = dict(zip(together.variables, arrays))
    joint = together(backend, arrays + upstream)
    begin = 0
    for c, units in enumerate(sizes):
        own = slice(begin, begin + units)
        gates = slice(4 * begin, 4 * (begin + units))
        begin += units
        columns = dict(b=gates, hid_init=own, cell_init=own, hid=own, cell=own)

        def component(values, key, c=c, columns=columns):
            return values["%s_%d" % (key, c)] if key in PER_COMPONENT else values[key][..., columns[key]]

        alone = single(backend, [component(given_, key) for key in single.variables] +
                       [g[..., own] for g in upstream])
        for key, expected in alone.items():
            assert_close(component(joint, key), expected, single.dtype, TOLERANCE[single.dtype])


@both
def test_one_matrix_in_a_list_is_the_matrix(cases, backend):
    case = cases["plain"]
    v = case.variables
    with compiled_as(UNOPTIMISED):
        lists = dict((name, [v[name]]) for name in PER_COMPONENT)
        hid, _ = lstm_recurrence(backend=backend, **dict(v, **dict(lists, **case.options)))
        f = theano.function(list(v.values()), hid)
    arrays, upstream = values(v, 3, 4, 5, 0)
    np.testing.assert_array_equal(f(*arrays), case(backend, arrays + upstream)["hid"])


@both
@pytest.mark.parametrize("name", sorted(name for name in CASES if CASES[name][-1] == 1))
def test_formulas_and_direction(cases, backend, name):
    case = cases[name]
    arrays, upstream = values(case.variables, 5, 6, 7, 3)
    given_ = dict(zip(case.variables, [x.astype("float64") for x in arrays]))
    if case.options["backwards"]:                   # the same as forwards on the reversed input
        for key in ("preactivation", "mask"):
            if key in given_:
                given_[key] = given_[key][::-1]
    hid, cell = numpy_lstm(given_["preactivation"], given_["W_hid"], given_["b"], given_["hid_init"],
                           given_["cell_init"], given_.get("mask"), given_.get("z_gates", 1), given_.get("z_hid", 1),
                           case.options["gate_nonlinearity"] == "hard_sigmoid")
    if case.options["backwards"]:
        hid, cell = hid[::-1], cell[::-1]
    result = case(backend, arrays + upstream)
    assert_close(result["hid"], hid.astype(case.dtype), case.dtype, TOLERANCE[case.dtype])
    assert_close(result["cell"], cell.astype(case.dtype), case.dtype, TOLERANCE[case.dtype])


@both
def test_mask_carries_the_state(cases, backend):
    case = cases["all"]
    arrays, upstream = values(case.variables, 4, 6, 5, 0)
    given_ = dict(zip(case.variables, arrays))
    given_["mask"][:] = 1
    given_["mask"][:2, :3] = 0                      # three rows padded on the left
    given_["mask"][:, 5] = 0                        # one row that is all padding
    result = case(backend, arrays + upstream)
    for t in range(2):
        np.testing.assert_array_equal(result["hid"][t, :3], given_["hid_init"][:3])
        np.testing.assert_array_equal(result["cell"][t, :3], given_["cell_init"][:3])
    assert np.all(result["preactivation"][:2, :3] == 0)
    assert np.all(result["z_gates"][5] == 0)
    assert_close(result["hid_init"][5], upstream[0][:, 5].sum(axis=0), case.dtype, TOLERANCE[case.dtype])
    # The content of the padding has no effect.
    given_["preactivation"][:2, :3] = np.nan
    padded = case(backend, arrays + upstream)
    np.testing.assert_array_equal(padded["hid"], result["hid"])


@both
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_numbers_come_through(cases, backend, bad):
    case = cases["plain"]
    arrays, upstream = values(case.variables, 3, 5, 20, 0)
    good = case(backend, arrays + upstream)
    arrays[0][1, 2, 40 + 3] = bad                   # the cell candidate of unit 3
    result = case(backend, arrays + upstream)
    if np.isnan(bad):
        assert np.isnan(result["cell"][1, 2, 3]) and np.all(np.isnan(result["hid"][2, 2]))
        assert np.isnan(result["W_hid"]).any() and np.isnan(result["b"]).any()
    else:
        assert np.all(np.isfinite(result["hid"]))   # tanh of it is 1 or -1
        assert_close(result["cell"], numpy_lstm(*arrays, hard=False)[1].astype(case.dtype), case.dtype,
                     TOLERANCE[case.dtype])
    others = [0, 1, 3, 4]                           # rows do not touch each other
    np.testing.assert_array_equal(result["hid"][:, others], good["hid"][:, others])


@needs_fused
def test_gradient_is_that_of_finite_differences(cases):
    case = cases["gates"]
    arrays, upstream = values(case.variables, 3, 2, 3, 5)
    result = case("fused", arrays + upstream)

    def loss():
        states = case("fused", arrays + upstream)
        return sum((state * g).sum() for state, g in zip((states["hid"], states["cell"]), upstream))

    for (name, x) in zip(case.variables, arrays):
        for index in np.ndindex(*x.shape):
            value, numeric = x[index], 0
            for sign in (1, -1):
                x[index] = value + sign * 1e-6
                numeric += sign * loss() / 2e-6
            x[index] = value
            assert abs(result[name][index] - numeric) < 1e-7 * max(1, abs(numeric)), (name, index)


@needs_fused
@pytest.mark.parametrize("connected", [(True, False), (False, True)])
def test_gradient_through_one_of_the_states(cases, connected):
    case = cases["plain"]
    arrays, upstream = values(case.variables, 3, 4, 5, 0)
    result = build(case.variables, "fused", connected=connected, **case.options)(*(arrays + upstream))
    for g, there in zip(upstream, connected):
        g *= there                                  # a state that is not used has gradient zero
    expected = case("fused", arrays + upstream)
    for actual, key in zip(result, expected):
        np.testing.assert_array_equal(actual, expected[key], err_msg=key)


def recurrence_ops(function):
    """Return the operations of the states and of the gradient in a compiled function."""
    ops = [node.op for node in function.maker.fgraph.toposort()]
    (forward,), (backward,) = [[op for op in ops if isinstance(op, kind)]
                               for kind in (LSTMRecurrence, LSTMRecurrenceGradient)]
    return forward, backward


@needs_fused
@pytest.mark.parametrize("name, units", [("plain", 5), ("three components", (5, 1, 20))])
def test_the_gradient_works_in_the_memory_of_the_forward_pass(cases, name, units):
    case = cases[name]
    arrays, upstream = values(case.variables, 3, 4, units, 0)
    copies = [x.copy() for x in arrays]
    expected = case("fused", arrays + upstream)
    forward, backward = recurrence_ops(case.functions["fused"])
    assert backward.inplace
    assert forward.keep and not forward.inplace     # its input is the caller's
    for x, copy in zip(arrays, copies):
        np.testing.assert_array_equal(x, copy)
    # The preactivations of a layer are its own.
    own = OrderedDict((key, 2 * x if key.startswith("preactivation") else x) for key, x in case.variables.items())
    with compiled_as(OPTIMISED):
        hid, cell = recurrence_of(own, backend="fused", **case.options)
        g = [T.TensorType(case.dtype, (False,) * 3)() for _ in range(2)]
        gradients = T.grad(None, [x for key, x in own.items() if key != "mask"],
                           known_grads=OrderedDict(zip((hid, cell), g)))
        f = theano.function(list(case.variables.values()) + g, [hid, cell] + gradients)
    forward, backward = recurrence_ops(f)
    assert forward.inplace and backward.inplace
    halves = [x / 2 if key.startswith("preactivation") else x for key, x in zip(case.variables, arrays)]
    for actual, key in zip(f(*(halves + upstream)), expected):
        np.testing.assert_array_equal(actual, expected[key], err_msg=key)


@needs_fused
def test_components_may_share_a_preactivation(cases):
    """No operation then overwrites its memory; the same holds for parts of one array."""
    case = cases["two components"]
    arrays, upstream = values(case.variables, 3, 4, (5, 5), 0)
    given_ = OrderedDict(zip(case.variables, arrays))
    given_["preactivation_1"] = given_["preactivation_0"]
    expected = case("fused", list(given_.values()) + upstream)
    v = OrderedDict((name, x) for name, x in case.variables.items() if name != "preactivation_1")
    one = 2 * v["preactivation_0"]
    both = T.concatenate([one, one], axis=2)
    g = [T.TensorType(case.dtype, (False,) * 3)() for _ in range(2)]
    for parts in ((one, one), (both[:, :, :20], both[:, :, 20:])):
        with compiled_as(OPTIMISED):
            arguments = dict(v, preactivation_0=parts[0], preactivation_1=parts[1])
            hid, cell = recurrence_of(OrderedDict((name, arguments[name]) for name in case.variables),
                                      backend="fused", **case.options)
            gradient = T.grad(None, one, known_grads=OrderedDict(zip((hid, cell), g)))
            f = theano.function(list(v.values()) + g, [hid, cell, gradient])
        forward, backward = recurrence_ops(f)
        assert backward.inplace and not forward.inplace
        result = f(*([given_["preactivation_0"] / 2] + [given_[name] for name in list(v)[1:]] + upstream))
        np.testing.assert_array_equal(result[0], expected["hid"])
        np.testing.assert_array_equal(result[1], expected["cell"])
        assert_close(result[2], expected["preactivation_0"] + expected["preactivation_1"], case.dtype,
                     TOLERANCE[case.dtype])


@needs_fused
@pytest.mark.parametrize("name, units", [("plain", 5), ("two components", (5, 3))])
def test_without_gradient_nothing_is_kept_for_it(cases, name, units):
    v = cases[name].variables
    hid, _ = recurrence_of(v, backend="fused", gate_nonlinearity="sigmoid")
    with compiled_as(OPTIMISED):
        f = theano.function(list(v.values()), hid)
    op, = [node.op for node in f.maker.fgraph.toposort() if isinstance(node.op, LSTMRecurrence)]
    assert not op.keep
    arrays, upstream = values(v, 3, 4, units, 0)
    np.testing.assert_array_equal(f(*arrays), cases[name]("fused", arrays + upstream)["hid"])


@needs_fused
@pytest.mark.parametrize("name, units", [("all", 5), ("three components", (2, 1, 2))])
def test_symbolic_shape_is_actual_shape(cases, name, units):
    case = cases[name]
    states = recurrence_of(case.variables, backend="fused")
    arrays, upstream = values(case.variables, 3, 4, units, 0)
    f = theano.function(list(case.variables.values()), [state.shape for state in states], on_unused_input="ignore",
                        mode=OPTIMISED)
    assert not any(isinstance(node.op, LSTMRecurrence) for node in f.maker.fgraph.toposort())
    result = case("fused", arrays + upstream)
    assert [tuple(shape) for shape in f(*arrays)] == [result["hid"].shape, result["cell"].shape] == [(3, 4, 5)] * 2


@needs_fused
def test_runs_in_every_mode(cases):
    case = cases["plain"]
    hid, _ = lstm_recurrence(backend="fused", **dict(case.variables, **case.options))
    f = theano.function(list(case.variables.values()), hid, mode=UNOPTIMISED)
    arrays, upstream = values(case.variables, 3, 4, 5, 0)
    np.testing.assert_array_equal(f(*arrays), case("fused", arrays + upstream)["hid"])


@needs_fused
def test_wrong_shapes_are_named(cases):
    case = cases["all"]
    arrays, upstream = values(case.variables, 3, 4, 5, 0)
    for position, name, expected in ((1, "W_hid", r"\(5, 20\)"), (2, "b", r"\(20\)"), (3, "hid_init", r"\(4, 5\)"),
                                     (5, "mask", r"\(3, 4\)"), (6, "z_gates", r"\(4, 20\)")):
        wrong = list(arrays)
        wrong[position] = np.concatenate([arrays[position]] * 2, axis=-1)
        with pytest.raises(ValueError, match="{} has shape .*{} was expected".format(name, expected)):
            case("fused", wrong + upstream)


@needs_fused
def test_wrong_shapes_of_components_are_named(cases):
    case = cases["two components"]
    arrays, upstream = values(case.variables, 3, 4, (2, 5), 0)
    for position, axis, name, expected in ((0, -1, "preactivation_0", r"\(3, 4, 8\)"),
                                           (1, -1, "preactivation_1", r"\(3, 4, 20\)"),
                                           (1, 0, "preactivation_1", r"\(3, 4, 20\)"),
                                           (3, -1, "W_hid_1", r"\(5, 20\)"), (3, 0, "W_hid_1", r"\(10, 40\)"),
                                           (4, 0, "b", r"\(28\)"), (5, -1, "hid_init", r"\(4, 7\)")):
        wrong = list(arrays)
        wrong[position] = np.concatenate([arrays[position]] * 2, axis=axis)
        with pytest.raises(ValueError, match="{} has shape .*{} was expected".format(name, expected)):
            case("fused", wrong + upstream)


def test_unknown_options_are_errors():
    v = variables("float32")
    with pytest.raises(ValueError, match="gate_nonlinearity must be one of hard_sigmoid, sigmoid, got 'tanh'"):
        lstm_recurrence(gate_nonlinearity="tanh", **v)
    with pytest.raises(ValueError, match="backend must be None, 'reference' or 'fused', got 'fast'"):
        lstm_recurrence(backend="fast", **v)
    with pytest.raises(TypeError, match="b is float64, but all arguments must be float32 or all float64"):
        lstm_recurrence(backend="fused", **dict(v, b=T.dvector()))
    with pytest.raises(TypeError, match="preactivation_1 has 2 dimensions, but 3 were expected"):
        lstm_recurrence(backend="fused", **dict(v, preactivation=[v["preactivation"], T.fmatrix()],
                                                       W_hid=[v["W_hid"]] * 2))


@pytest.mark.parametrize("preactivations, matrices, message", [
    (None, 2, "preactivation is one variable and W_hid is a list of 2: give one variable for each, or two lists"),
    (3, None, "preactivation is a list of 3 and W_hid is one variable: give one variable for each, or two lists"),
    (3, 2, "preactivation is a list of 3 and W_hid is a list of 2: "),
    (1, 0, "preactivation is a list of 1 and W_hid is a list of 0: "),
    (0, 0, "preactivation and W_hid are empty lists, but at least one component was expected"),
])
def test_preactivations_and_matrices_belong_together(preactivations, matrices, message):
    v = variables("float32")
    for name, count in (("preactivation", preactivations), ("W_hid", matrices)):
        if count is not None:
            v[name] = [v[name]] * count
    with pytest.raises(ValueError, match="^" + message):
        lstm_recurrence(**v)


@both
def test_the_preactivation_of_one_row_has_a_gradient(backend):
    x, W_in, W_hid, state = T.matrix(), T.matrix(), T.matrix(), T.matrix()
    preactivation = T.dot(x, W_in).dimshuffle(0, "x", 1)                # its type says that there is one row
    hid, _ = lstm_recurrence(preactivation, W_hid, T.vector(), state, state, backend=backend)
    assert T.grad(hid.sum(), preactivation).type == preactivation.type
    assert T.grad(hid.sum(), W_in).type == W_in.type


def test_an_input_of_float64_computes_in_float64():
    types = [T.dtensor3, T.fmatrix, T.fvector, T.fmatrix, T.fmatrix]
    arguments = [make() for make in types]
    arrays = [np.random.RandomState(i).randn(*shape).astype(variable.dtype)
              for i, (variable, shape) in enumerate(zip(arguments, [(3, 2, 8), (2, 8), (8,), (2, 2), (2, 2)]))]
    hid, cell = lstm_recurrence(*arguments)
    assert (hid.dtype, cell.dtype) == ("float64", "float64")
    exact = lstm_recurrence(*[T.cast(argument, "float64") for argument in arguments], backend="reference")
    found = theano.function(arguments, [hid, cell] + list(exact), mode=UNOPTIMISED)(*arrays)
    for one, other in zip(found[:2], found[2:]):
        assert_close(one, other, "float64", 1e-12)
