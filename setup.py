"""Build configuration; ``setup_env.sh`` installs the project with it, in editable mode."""

import atexit
import io
import os
import re
import shutil
import tempfile

from setuptools import find_packages, setup

from distutils.command.build import build  # isort: skip  (setuptools must be imported first)

HERE = os.path.dirname(os.path.abspath(__file__))


def version():
    """Return the version of the package bayes_rnn."""
    with io.open(os.path.join(HERE, "bayes_rnn", "__init__.py"), encoding="utf-8") as source:
        return re.search(r'^__version__ = "([^"]+)"$', source.read(), re.M).group(1)


class BuildInTemporaryFolder(build):
    """Build in a temporary folder: ``pip install .`` leaves no folder ``build`` in the source tree."""

    def initialize_options(self):
        build.initialize_options(self)
        self.build_base = tempfile.mkdtemp(prefix="bayes-rnn-build-")
        atexit.register(shutil.rmtree, self.build_base, ignore_errors=True)


setup(
    name="bayes-rnn",
    version=version(),
    description="Bayesian compression and predefined sparseness of LSTMs, as Lasagne layers",
    license="MIT",
    python_requires=">=3.6,<3.12",
    install_requires=["Theano>=0.9.0,<1.1", "Lasagne==0.1", "numpy<1.22; python_version < '3.11'",
                      "numpy<1.24; python_version >= '3.11'", "scipy", "matplotlib", "pooch", "tqdm",
                      "jinja2; python_version >= '3.8'", "submitit; python_version >= '3.8'"],
    packages=find_packages(include=[
        "theano_rnn", "theano_rnn.*", "bayes_rnn", "bayes_rnn.*",
        "sparse_seq_theano", "sparse_seq_theano.*",
        "Experiments", "Experiments.shared", "Experiments.shared.*",
    ]) + ["bayes_rnn.trained_models"],
    package_dir={"bayes_rnn.trained_models": "models"},
    package_data={"theano_rnn": ["ops/*/*.c", "ops/*/*.cpp", "ops/*/*.hpp"], "bayes_rnn": ["c/*.c", "c/*.h", "html/*"],
                  "bayes_rnn.trained_models": ["*.npz", "*.md"], "Experiments.shared": ["*.html"],
                  "Experiments.shared.reproduction": ["published/*"]},
    cmdclass={"build": BuildInTemporaryFolder},
    zip_safe=False,
)
