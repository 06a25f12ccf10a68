"""How much of the machine's matrix-product rate a training step of the character model reaches.

    python benchmarks/products.py
    python benchmarks/products.py --rounds 6 --json products.json

The machine's rate is that of the same BLAS, on as many threads, on square float32 matrices of 2048, 3072 and 4096: the
best of the three medians. With T steps, B texts, H hidden units and V characters, the products that a step of LCCL
needs are

    recurrence: h W_hid, the gradient of h and that of W_hid: 3 * 2 T B H 4H
    output:     h W, the gradient of h and that of W:         3 * 2 T B H V

and nothing for the input, whose rows are gathered. Local reparametrisation doubles the output's products; the second
half, 1 % of all, is not counted. The share is these operations / seconds of the whole step / the machine's rate, so
softmax, KL, Adam and the gates count as time and not as work.
"""

import statistics
from collections import OrderedDict

from benchmarks.command_line import new_parser, run_configured
from benchmarks.measure import Results, StepInOwnProcess, in_turn
from benchmarks.networks import VOCABULARY, experiment_settings, training_step
from benchmarks.report import table
from theano_rnn.runtime import configuration

__all__ = ["step_operations", "SIZES", "TARGET"]

NAME, CONFIG = "Char_PTB", "LCCL"
SIZES = (2048, 3072, 4096)
#: Per cent, at least.
TARGET = 70


def main():
    """The command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5, help="measured steps, and products of each size, in a round")
    run_configured(parser, run)


def run(arguments):
    """Measure, print and record."""
    contestants = OrderedDict((size, StepInOwnProcess(product_step, size)) for size in SIZES)
    contestants["ours"] = StepInOwnProcess(training_step, NAME, CONFIG)
    seconds = in_turn(contestants, arguments.rounds, arguments.steps)
    for contestant in contestants.values():
        contestant.close()
    rates = OrderedDict((size, 2. * size ** 3 / statistics.median(seconds[size])) for size in SIZES)
    ours, best = statistics.median(seconds["ours"]), max(rates.values())
    _, settings = experiment_settings(NAME, CONFIG)
    operations = step_operations(settings["length"] - 1, settings["batch_size"], settings["hidden_units"],
                                 VOCABULARY[NAME])
    share = 100 * operations / ours / best
    results = Results(arguments.json)
    results.record("products", "%s %s" % (NAME, CONFIG), OrderedDict([
        ("ours", ours), ("gflop", operations / 1e9), ("gflop_per_second", operations / ours / 1e9),
        ("machine_gflop_per_second", best / 1e9), ("share", share), ("target", TARGET), ("met", share >= TARGET),
        ("rates", OrderedDict((str(size), rate / 1e9) for size, rate in rates.items())), ("seconds", seconds["ours"])]))
    print(table("products", results.parts["products"]))


def step_operations(steps, texts, hidden_units, characters):
    """Floating-point operations of the products that a training step needs; the module's docstring has the formula.

    Examples
    --------
    >>> step_operations(steps=1, texts=1, hidden_units=2, characters=3)
    132
    """
    return 3 * 2 * steps * texts * hidden_units * (4 * hidden_units + characters)


def product_step(size):
    """A function that multiplies two square matrices, by the BLAS that training steps use."""
    configuration.configure()
    import numpy as np
    import theano
    import theano.tensor as T
    random = np.random.RandomState(0)
    left, right = (theano.shared(random.rand(size, size).astype(np.float32)) for _ in range(2))
    return theano.function([], theano.Out(T.dot(left, right), borrow=True))


if __name__ == "__main__":
    main()
