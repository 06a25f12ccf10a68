"""One training step on a GPU beside the same step on a CPU: loss, gradient of every parameter, random streams.

    python benchmarks/gpu_gradients.py IMDB LLLCCL --device cpu --write IMDB.npz        # on any machine
    python benchmarks/gpu_gradients.py IMDB LLLCCL --device cuda --compare IMDB.npz

Both take the same parameters, minibatch and random numbers, at the published shape. The gradients are those that
training itself uses: the optimiser's first moment after one step from zero, which is the gradient times a constant.
The file holds sketches of them, 3 MB at most instead of 100: errors are those of the sketches, which are right to 1 %.
"""

import hashlib
from collections import OrderedDict

import numpy as np

from benchmarks.command_line import add_network_options, new_parser, run_configured
from benchmarks.measure import Results, process_age
from benchmarks.networks import AWD, TRAINING_TEXTS, TRAINING_TOKENS, training_run
from benchmarks.report import table
from Experiments.shared.options import add_device_option
from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, save_arrays

__all__ = ["TARGET", "first_step", "gradient_names", "set_portable_parameters", "sketch", "relative_error", "compare"]

#: At most this relative difference of any parameter's gradient.
TARGET = 1e-4
SKETCH_SIZE = 2 ** 15
#: Plain SGD keeps no gradient; with momentum, the velocity after the first step is one.
AWD_SETTINGS = ["momentum=0.5"]
#: Of what the optimisers keep: around the name of a parameter.
MOMENTS = (("adam.", ".mean"), ("sgd.", ".velocity"))
#: Standard deviation of what is added to parameters that are all equal at first.
SPREAD = 0.05


def main():
    """The command line."""
    parser = new_parser(__doc__)
    add_network_options(parser)
    add_device_option(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", metavar="FILE", help="the file for --compare, by convention *.npz")
    what.add_argument("--compare", metavar="FILE", help="what --write wrote")
    run_configured(parser, run)


def run(arguments):
    """Take the step, and write or compare it."""
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
    """Train one step on generated data. Theano must be configured.

    Parameters
    ----------
    name, config, assignments
        As for `benchmarks.networks.training_run`.

    Returns
    -------
    gradients : OrderedDict of str to numpy.ndarray
        Parameter to the sketch of its gradient, times a constant.
    facts : dict
        ``loss``, and ``noise``, a digest of the states of all random streams after the step.
    """
    job, step = training_run(name, config, assignments=(AWD_SETTINGS if name == AWD else []) + list(assignments))
    set_portable_parameters(job.network.parameters())
    if hasattr(job, "train_size"):
        # With the few objects that were generated, the KL divergence would hide the gradient of the data.
        job.train_size = TRAINING_TEXTS.get(name) or TRAINING_TOKENS[name]
    loss = step()
    state = job.state()
    noise = hashlib.sha1()
    for key in sorted(state):
        if key.startswith("noise."):
            noise.update(state[key].tobytes())
    gradients = OrderedDict((parameter, sketch(state[key])) for parameter, key in gradient_names(state).items())
    lacking = set(job.network.parameters()) - set(gradients)
    if lacking:
        raise ReportedError("%s %s: the optimiser keeps no gradient of %s" % (name, config, ", ".join(sorted(lacking))))
    return gradients, {"loss": loss, "noise": noise.hexdigest()}


def gradient_names(names):
    """Parameter to the name of the optimiser's first moment: OrderedDict, of names of a job's state."""
    return OrderedDict((name[len(begin):-len(end)], name) for name in names for begin, end in MOMENTS
                       if name.startswith(begin) and name.endswith(end))


def set_portable_parameters(parameters):
    """Give parameters random values that are the same to the bit on every machine.

    Initial ones are not: an orthogonal matrix comes from LAPACK, whose rounding depends on the processor. Mean and
    spread stay about as they were.

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
    """A count sketch: each element, with a random sign, is added to a random one of `SKETCH_SIZE` sums.

    Linear, and it keeps a norm to about ``sqrt(2 / SKETCH_SIZE)``; Charikar, Chen, Farach-Colton: Finding frequent
    items in data streams, ICALP 2002.

    Parameters
    ----------
    array : numpy.ndarray

    Returns
    -------
    numpy.ndarray
        float32; all elements of an array that is no larger.
    """
    elements = np.asarray(array, dtype=np.float64).ravel()
    if elements.size <= SKETCH_SIZE:
        return elements.astype(np.float32)
    random = np.random.RandomState(0)
    sums = random.randint(0, SKETCH_SIZE, elements.size)
    signs = 2 * random.randint(0, 2, elements.size) - 1
    return np.bincount(sums, elements * signs, SKETCH_SIZE).astype(np.float32)


def relative_error(found, expected):
    """||found - expected|| / ||expected||; of two zeros it is 0."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    difference = np.linalg.norm(found - expected)
    return float(difference / np.linalg.norm(expected)) if difference else 0.


def compare(found, expected, path):
    """Compare two steps, each gradients and facts as `first_step` returns them, with the ``network`` among the facts.

    Parameters
    ----------
    found, expected : (dict, dict)
    path : str
        Where `expected` came from, for the message.

    Returns
    -------
    OrderedDict
        The figures.

    Raises
    ------
    ReportedError
        If they are of different networks.
    """
    (gradients, facts), (expected_gradients, expected_facts) = found, expected
    if facts["network"] != expected_facts.get("network") or set(gradients) != set(expected_gradients):
        raise ReportedError("%s is a step of %s, not of %s: write it again with --device cpu --write"
                            % (path, expected_facts.get("network"), facts["network"]))
    errors = OrderedDict((name, relative_error(gradients[name], expected_gradients[name])) for name in gradients)
    # Not max(errors, key=errors.get): an error that is not a number must come out on top.
    worst = sorted(errors, key=lambda name: np.nan_to_num(errors[name]) if np.isfinite(errors[name]) else np.inf)[-1]
    return OrderedDict([
        ("gradient_error", errors[worst]), ("worst_parameter", worst), ("target", TARGET),
        ("met", bool(errors[worst] <= TARGET)), ("same_noise", facts["noise"] == expected_facts["noise"]),
        ("loss", facts["loss"]), ("loss_error", relative_error(facts["loss"], expected_facts["loss"])),
        ("errors", errors)])


if __name__ == "__main__":
    main()
