"""Small compressed models that several test files share."""

import os

import pytest
from helpers.compressed_models import random_models

from bayes_rnn.export import save_model


@pytest.fixture(scope="session")
def models():
    """A model of each kind: text, characters, words."""
    return random_models()


@pytest.fixture(scope="session")
def paths(models, tmp_path_factory):
    """The path of the file of each model."""
    folder = str(tmp_path_factory.mktemp("models"))
    paths = {kind: os.path.join(folder, kind + ".npz") for kind in models}
    for kind, model in models.items():
        save_model(paths[kind], model.arrays, model.metadata)
    return paths
