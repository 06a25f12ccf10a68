"""Comparison of one training step on a GPU with the same step on a CPU: loss, all gradients, random streams.

    python benchmarks/gradients_against_cpu.py IMDB LLLCCL --device cpu --write IMDB.npz        # on any machine
    python benchmarks/gradients_against_cpu.py IMDB LLLCCL --device cuda --compare IMDB.npz

Both steps have the same parameters, minibatch and random numbers, at the published shape. The gradients are those of
training: after one step from zero, the first moment of the optimiser is the gradient times a constant. The file holds
sketches of them, which are much smaller. The errors are those of the sketches, which are accurate to 1 %.
"""

import hashlib
from collections import OrderedDict

from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, save_arrays

import numpy as np

from benchmarks.command_line import add_device_option, add_network_options, new_parser, run_configured
from benchmarks.report import table
from benchmarks.results_file import Results
from benchmarks.timing import process_age
from benchmarks.training_runs import AWD, TRAINING_TEXTS, TRAINING_TOKENS, training_run

__all__ = ["TARGET", "first_step", "gradient_names", "set_portable_parameters", "sketch", "relative_error", "compare"]

#: The largest accepted relative error of a gradient.
TARGET = 1e-4
SKETCH_SIZE = 2 ** 15
#: SGD keeps the gradient only if it has momentum, as the velocity.
AWD_SETTINGS = {"momentum": 0.5}
#: Prefix and suffix of a parameter's name in the state of an optimiser.
MOMENTS = (("adam.", ".mean"), ("sgd.", ".velocity"))
#: Standard deviation for parameters whose initial values are all equal.
SPREAD = 0.05


def main():
    """Run the command line."""
    parser = new_parser(__doc__)
    add_network_options(parser)
    add_device_option(parser)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", metavar="FILE", help="write the step to this file (*.npz)")
    action.add_argument("--compare", metavar="FILE", help="compare the step with a file that --write wrote")
    run_configured(parser, run)


def run(arguments):
    """Train for one step and write or compare it."""
    name = " ".join([arguments.name, arguments.config] + arguments.set)
    reference = arguments.compare and load_arrays(arguments.compare, "step of the CPU")
    gradients, facts = first_step(arguments.name, arguments.config, arguments.set)
    if arguments.write:
        save_arrays(arguments.write, gradients, dict(facts, network=name))
        print("%s: loss %.6f, %d gradients in %s" % (name, facts["loss"], len(gradients), arguments.write))
        return
    figures = compare((gradients, dict(facts, network=name)), reference, arguments.compare)
    figures["seconds"] = process_age()
    Results(arguments.json).record("gradients", name, figures)
    print(table("gradients", {name: figures}))


def first_step(name, config, assignments=()):
    """Train for one step on generated data. Theano must be configured.

    Parameters
    ----------
    name, config, assignments
        As for `benchmarks.training_runs.training_run`.

    Returns
    -------
    gradients : OrderedDict of str to numpy.ndarray
        Name of a parameter to the sketch of its gradient, times a constant.
    facts : dict
        ``loss``, and ``noise``: a digest of the states of all random streams after the step.
    """
    task, step = training_run(name, config, "uniform", assignments, **(AWD_SETTINGS if name == AWD else {}))
    set_portable_parameters(task.network.parameters())
    if hasattr(task, "train_size"):
        # With the few generated examples, the KL divergence would hide the gradient of the data.
        task.train_size = TRAINING_TEXTS.get(name) or TRAINING_TOKENS[name]
    loss = step()
    state = task.state()
    noise = hashlib.sha1()
    for key in sorted(state):
        if key.startswith("noise."):
            noise.update(state[key].tobytes())
    gradients = OrderedDict((parameter, sketch(state[key])) for parameter, key in gradient_names(state).items())
    missing = set(task.network.parameters()) - set(gradients)
    if missing:
        raise ReportedError("%s %s: the optimiser keeps no gradient of %s" % (name, config, ", ".join(sorted(missing))))
    return gradients, {"loss": loss, "noise": noise.hexdigest()}


def gradient_names(names):
    """Select the first moments of the optimiser among the names of a task's state.

    Returns
    -------
    OrderedDict
        Name of a parameter to the name of its first moment.
    """
    return OrderedDict((name[len(begin):-len(end)], name) for name in names for begin, end in MOMENTS
                       if name.startswith(begin) and name.endswith(end))


def set_portable_parameters(parameters):
    """Set parameters to random values that are bit-identical on all machines.

    Initial values are not: orthogonal matrices come from LAPACK, whose rounding depends on the processor. Mean and
    standard deviation stay approximately the same.

    Parameters
    ----------
    parameters : OrderedDict of str to shared variable
    """
    random = np.random.RandomState(0)
    for parameter in parameters.values():
        initial = parameter.get_value()
        spread = float("%.1g" % initial.std()) or SPREAD
        values = round(float(initial.mean()), 1) + spread * random.uniform(-1.5, 1.5, initial.shape)
        parameter.set_value(values.astype(initial.dtype))


def sketch(array):
    """Return the count sketch of an array: each element, with a random sign, is added to a random entry.

    The sketch is linear and preserves norms to about ``sqrt(2 / SKETCH_SIZE)``; Charikar, Chen, Farach-Colton,
    *Finding frequent items in data streams*, ICALP 2002.

    Parameters
    ----------
    array : numpy.ndarray

    Returns
    -------
    float32 ``(SKETCH_SIZE,)``
        A smaller array is returned as it is, flattened.
    """
    elements = np.asarray(array, dtype=np.float64).ravel()
    if elements.size <= SKETCH_SIZE:
        return elements.astype(np.float32)
    random = np.random.RandomState(0)
    sums = random.randint(0, SKETCH_SIZE, elements.size)
    signs = 2 * random.randint(0, 2, elements.size) - 1
    return np.bincount(sums, elements * signs, SKETCH_SIZE).astype(np.float32)


def relative_error(found, expected):
    """Return ||found - expected|| / ||expected||, or 0 if both are zero."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    difference = np.linalg.norm(found - expected)
    return float(difference / np.linalg.norm(expected)) if difference else 0.


def compare(found, expected, path):
    """Compare two steps.

    Parameters
    ----------
    found, expected : (dict, dict)
        Gradients and facts of `first_step`; the facts also have ``network``, the name of the network.
    path : str
        The file of `expected`, for the error message.

    Returns
    -------
    OrderedDict
        The figures.

    Raises
    ------
    ReportedError
        If the networks are different.
    """
    (gradients, facts), (expected_gradients, expected_facts) = found, expected
    if facts["network"] != expected_facts.get("network") or set(gradients) != set(expected_gradients):
        raise ReportedError("%s is a step of %s, not of %s; write it again with --device cpu --write"
                            % (path, expected_facts.get("network"), facts["network"]))
    errors = OrderedDict((name, relative_error(gradients[name], expected_gradients[name])) for name in gradients)
    # An error of NaN is the worst; max(errors, key=errors.get) would not find it.
    worst = sorted(errors, key=lambda name: np.nan_to_num(errors[name]) if np.isfinite(errors[name]) else np.inf)[-1]
    return OrderedDict([
        ("gradient_error", errors[worst]), ("worst_parameter", worst), ("target", TARGET),
        ("met", bool(errors[worst] <= TARGET)), ("same_noise", facts["noise"] == expected_facts["noise"]),
        ("loss", facts["loss"]), ("loss_error", relative_error(facts["loss"], expected_facts["loss"])),
        ("errors", errors)])


if __name__ == "__main__":
    main()
