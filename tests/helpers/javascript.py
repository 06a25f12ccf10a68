"""Models in the JavaScript of the web pages, in Node."""

import contextlib
import json
import os
import shutil
import subprocess

import pytest

from bayes_rnn import export_html
from bayes_rnn.export_html import describe_model

__all__ = ["javascript_models", "needs_node"]

HERE = os.path.dirname(os.path.abspath(__file__))
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(not NODE, reason="node is not installed")


@contextlib.contextmanager
def javascript_models(models):
    """Context manager of a function that calls a model in Node: name of the model and of the call, and its arguments.

    Parameters
    ----------
    models : dict of str to ClassPredictor or NextTokenPredictor
    """
    process = subprocess.Popen(
        [NODE, os.path.join(HERE, "predict_lines.js"), os.path.join(export_html.HERE, "predict.js")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def call(model, function, **arguments):
        request = json.dumps(dict(arguments, model=model, call=function))
        process.stdin.write(request.encode("ascii") + b"\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline().decode("utf-8"))

    for name, model in models.items():
        call(name, "load", description=describe_model(model))
    try:
        yield call
    finally:
        process.communicate()
