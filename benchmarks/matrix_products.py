"""Share of the machine's matrix-product rate that a training step of the character model reaches.

    python benchmarks/matrix_products.py
    python benchmarks/matrix_products.py --rounds 6 --json products.json

The machine's rate is the rate of the same BLAS with the same number of threads for square float32 matrices of size
2048, 3072 and 4096: the best of the three medians. With T time steps, B texts, H hidden units and V characters, a step
of LCCL needs the products

    recurrence: h W_hid, the gradient of h and that of W_hid: 3 * 2 T B H 4H
    output:     h W, the gradient of h and that of W:         3 * 2 T B H V

and none for the input, whose rows are gathered. Local reparametrisation doubles the products of the output; the second
half, 1 % of all, is not counted. The share is (number of these operations) / (seconds of the whole step) / (rate of the
machine). Softmax, KL, Adam and gates therefore count as time but not as operations.
"""

import statistics
from collections import OrderedDict

from theano_rnn import runtime

from benchmarks.command_line import add_device_option, new_parser, run_configured
from benchmarks.generated_data import VOCABULARY
from benchmarks.report import table
from benchmarks.results_file import Results
from benchmarks.timing import StepInOwnProcess, interleaved
from benchmarks.training_runs import experiment_settings, training_step

__all__ = ["step_operations", "SIZES", "TARGET"]

NAME, CONFIG = "Char_PTB", "LCCL"
SIZES = (2048, 3072, 4096)
#: The smallest accepted share in per cent.
TARGET = 70


def main():
    """Run the command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5, help="measured steps, and products of each size, in a round")
    add_device_option(parser)
    run_configured(parser, run)


def run(arguments):
    """Measure, print and record."""
    candidates = OrderedDict((size, StepInOwnProcess(product_step, size, arguments.device)) for size in SIZES)
    candidates["ours"] = StepInOwnProcess(training_step, NAME, CONFIG, "uniform", (), arguments.device)
    seconds = interleaved(candidates, arguments.rounds, arguments.steps)
    for candidate in candidates.values():
        candidate.close()
    rates = OrderedDict((size, 2. * size ** 3 / statistics.median(seconds[size])) for size in SIZES)
    ours, best = statistics.median(seconds["ours"]), max(rates.values())
    _, settings = experiment_settings(NAME, CONFIG)
    operations = step_operations(settings.length - 1, settings.batch_size, settings.hidden_units, VOCABULARY[NAME])
    share = 100 * operations / ours / best
    results = Results(arguments.json)
    results.record("products", "%s %s" % (NAME, CONFIG), OrderedDict([
        ("ours", ours), ("gflop", operations / 1e9), ("gflop_per_second", operations / ours / 1e9),
        ("machine_gflop_per_second", best / 1e9), ("share", share), ("target", TARGET), ("met", share >= TARGET),
        ("rates", OrderedDict((str(size), rate / 1e9) for size, rate in rates.items())), ("seconds", seconds["ours"])]))
    print(table("products", results.parts["products"]))


def step_operations(steps, texts, hidden_units, characters):
    """Return the floating-point operations of the products in a training step; see the formula of the module.

    Examples
    --------
    >>> step_operations(steps=1, texts=1, hidden_units=2, characters=3)
    132
    """
    return 3 * 2 * steps * texts * hidden_units * (4 * hidden_units + characters)


def product_step(size, device="cpu"):
    """Return a function that multiplies two square matrices with the BLAS of the training steps."""
    runtime.configure(device)
    import numpy as np
    import theano
    import theano.tensor as T
    random = np.random.RandomState(0)
    left, right = (theano.shared(random.rand(size, size).astype(np.float32)) for _ in range(2))
    return theano.function([], theano.Out(T.dot(left, right), borrow=True))


if __name__ == "__main__":
    main()
