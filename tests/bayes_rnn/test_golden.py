"""Every key of every golden file in `bayes_rnn/` under --golden-dir, in float64, to 1e-6.

The goldens check the layers and networks, so most of them use the reference implementations of the operations, which
are compiled in a fraction of the time. The cases in `FUSED`, in which all random variables are probabilistic, use the
fused backend. `tests/theano_rnn/ops` checks that both backends agree for all combinations of options.
"""

import glob
import os

import numpy as np
import pytest
import theano
from helpers.backends import UNOPTIMISED

from bayes_rnn.config import parse_config
from bayes_rnn.models import LanguageModel, TextClassifier
from bayes_rnn.pruning import compression_report, keep_masks

GATES = ("ingate", "forgetgate", "cell", "outgate")
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}
#: A network for each gate nonlinearity, with all group variables; one of them has a mask, the other a carried state.
FUSED = ("classification_LLLLLL_4", "lm_word_LLLL")
pytestmark = [pytest.mark.core, pytest.mark.usefixtures("flags_of_the_project")]


def pytest_generate_tests(metafunc):
    folder = os.path.join(metafunc.config.getoption("--golden-dir"), "bayes_rnn")
    files = sorted(glob.glob(os.path.join(folder, "*.npz")))
    assert files, "no golden files in %s" % folder
    metafunc.parametrize("path", files, ids=[os.path.basename(file)[:-4] for file in files])


class NoNoise(object):
    """A random number source of zeros: in training mode, each sample is the mean."""

    def normal(self, shape):
        return theano.tensor.zeros(shape)


def build(path, golden):
    parts = os.path.basename(path)[:-4].split("_")
    if parts[0] == "classification":
        vocabulary_size, embedding_units = golden["param.embedding.W"].shape
        return TextClassifier(parse_config(parts[1], "classification"), vocabulary_size, embedding_units,
                              len(golden["param.lstm.W_hid.cell"]), max(2, int(parts[2])), noise=NoNoise())
    vocabulary_size, hidden_units = golden["param.lstm.W_in.cell"].shape
    return LanguageModel(parse_config(parts[2], "language model"), vocabulary_size, hidden_units,
                         {"char": "characters", "word": "words"}[parts[1]], noise=NoNoise())


def golden_value(golden, group, name):
    """Return a parameter (group "param") or its gradient ("grad") with gates stacked in the last axis."""
    layer, name = name.split(".", 1)
    prefix = "%s.%s." % (group, layer)
    stacked = [prefix + "%s.%s" % (name, gate) for gate in GATES]
    if stacked[0] in golden:
        return np.concatenate([golden[key] for key in stacked], axis=-1)
    if name.startswith("W") and name.endswith(".log_sigma"):
        value = golden[prefix + "log_sigma_" + name.split(".")[0]]
    elif name.startswith("z_"):
        value = golden[prefix + (name if name.endswith(".log_sigma") else name + ".mean")]
    else:
        value = golden[prefix + name]
    per_gate = layer == "lstm" and name.split(".")[0] in ("W_in", "W_hid", "z_gates")
    return np.concatenate(list(value), axis=-1) if per_gate else value


def test_golden(path, float64, request):
    fused = os.path.basename(path)[:-len(".npz")] in FUSED
    request.getfixturevalue("only_fused_in_c" if fused else "reference_backend")
    with np.load(path) as archive:
        golden = {key: archive[key] for key in archive.files}
    network = build(path, golden)
    parameters = network.parameters()
    for name, parameter in parameters.items():
        parameter.set_value(golden_value(golden, "param", name))
    for key in ("param.lstm.hid_init", "param.lstm.cell_init"):
        assert not golden[key].any(), "an initial state other than zero is not part of the model"

    carried = "state_in" in golden
    inputs = [golden["input"]] + ([golden["mask"].astype("uint8")] if "mask" in golden else [])
    inputs += list(golden["state_in"]) if carried else []
    kl = network.kl()
    loss = network.loss(train_size=100)
    gradients = theano.grad(loss, list(parameters.values()), disconnected_inputs="ignore")
    states = [list(network.scores(**mode)[1]) for mode in ({"deterministic": True}, {"pruned": True}) if carried]
    function = theano.function(
        network.inputs + [network.targets],
        [network.data_loss(), network.data_loss(deterministic=True), loss, network.prediction(deterministic=True),
         network.prediction(pruned=True)] + [kl[name] / 100. for name in kl] + sum(states, []) + gradients,
        mode=UNOPTIMISED, on_unused_input="ignore")
    values = iter(function(*(inputs + [golden["target"]])))

    np.testing.assert_allclose(next(values), golden["data_loss"], **TOLERANCE)
    np.testing.assert_allclose(next(values), golden["data_loss"], **TOLERANCE)
    np.testing.assert_allclose(next(values), golden["loss"], **TOLERANCE)
    np.testing.assert_allclose(next(values), golden["prediction"], **TOLERANCE)
    np.testing.assert_allclose(next(values), golden["prediction_pruned"], **TOLERANCE)
    for name in kl:
        np.testing.assert_allclose(next(values), golden.get("kl." + name, 0), err_msg=name, **TOLERANCE)
    for key in ("state_out", "state_out_pruned") if carried else ():
        np.testing.assert_allclose([next(values), next(values)], golden[key], err_msg=key, **TOLERANCE)
    checked = 0
    for name in parameters:
        expected = golden_value(golden, "grad", name)
        np.testing.assert_allclose(next(values), expected, err_msg=name, **TOLERANCE)
        checked += expected.size
    assert checked == sum(golden[key].size for key in golden if key.startswith("grad."))

    keep = keep_masks(network)._asdict()
    golden_keep = {key[len("keep."):].replace(".W", "_W"): golden[key] for key in golden if key.startswith("keep.")}
    assert golden_keep.keys() == {name for name, mask in keep.items() if mask is not None}
    for name, expected in golden_keep.items():
        np.testing.assert_array_equal(keep[name], expected, err_msg=name)
    report = compression_report(network)
    assert report.ratio == pytest.approx(float(golden["compression_ratio"]), rel=1e-9)
    # The golden report is one line. The published logs, and ours, have one line per layer.
    assert report.text().split() == str(golden["report"]).split()
