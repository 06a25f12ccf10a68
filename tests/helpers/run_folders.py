"""Folders of runs without training: the files from which their state and numbers are read."""

import csv
import io
import json
import os

BAYESIAN_END = "Compressed model: compressed.npz, 307418 bytes; the parameters it came from: 24962720 bytes"
AWD_END = "| End of training | test loss 4.0726 | test ppl    58.71"
TAGGER_END = "Best epoch 30: validation accuracy 0.9052, test accuracy 0.8840"


def write_log(folder, epochs, end=None, first=1, start=("12480847 parameters; compiling ...", "Compiled in 17.9s")):
    """Append the lines of one process: some epochs, and the line of the results."""
    os.makedirs(str(folder), exist_ok=True)
    lines = list(start) + ["Epoch %d took 2.500s \t loss = 0.5" % epoch for epoch in range(first, epochs + 1)]
    with io.open(os.path.join(str(folder), "log.txt"), "a", encoding="utf-8") as stream:
        stream.write("".join(line + "\n" for line in lines + ([end] if end else [])))


def write_config(folder, program="sequence_labeling/main.py", epochs=50, **settings):
    """Write ``config.json``."""
    os.makedirs(str(folder), exist_ok=True)
    experiment, entry = program.split("/")
    config = {"experiment": experiment, "entry": entry[:-len(".py")]}
    if "config" in settings:
        config = {"dataset": experiment, "config": settings.pop("config"), "seed": settings.pop("seed")}
    config.update(settings=dict(settings, epochs=epochs), versions={"git_commit": "abc"})
    with io.open(os.path.join(str(folder), "config.json"), "w", encoding="utf-8") as stream:
        stream.write(json.dumps(config))


def write_metrics(folder, rows):
    """Write ``metrics.csv``: a list of dicts with ``epoch``."""
    os.makedirs(str(folder), exist_ok=True)
    rows = [dict({"train_seconds": 2.5, "test_seconds": 1.}, **row) for row in rows]
    with io.open(os.path.join(str(folder), "metrics.csv"), "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, sorted(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
