"""CONFIG strings: which weights and group variables are probabilistic, deterministic or constant.

A CONFIG has one letter per position: six for text classification, four for language modelling. (A language model has
no embedding layer: its input is a one-hot word or character.) The module does not import Theano, so that an invalid
CONFIG is reported before anything is compiled.

References
----------
Chirkova, Lobacheva, Vetrov: Bayesian Compression for Natural Language Processing, EMNLP 2018, arXiv:1810.10927.
Lobacheva, Chirkova, Vetrov: Bayesian Sparsification of Gated Recurrent Neural Networks, 2018, arXiv:1812.05692.
"""

from collections import namedtuple

from theano_rnn.errors import ReportedError

__all__ = ["Config", "EXAMPLE_CONFIGS", "parse_config", "describe_positions"]

#: Kind of each random variable of a network: "L", "N", "D" or "C"; None if the network has no such variable.
Config = namedtuple("Config", ["text", "embedding", "z_voc", "lstm", "z_gates", "z_in", "z_hid", "dense"])

MEANINGS = {
    "L": "probabilistic, log-uniform prior, pruned",
    "N": "probabilistic, standard normal prior, never pruned",
    "D": "deterministic",
    "C": "constant 1",
    "I": "L for the input neurons, C for the hidden ones",
    "R": "L for the hidden neurons, C for the input ones",
}
WEIGHT_LETTERS, GROUP_LETTERS, NEURON_LETTERS = "LDN", "LDCN", "LDCNIR"

_Position = namedtuple("_Position", ["name", "letters"])
_LSTM_POSITIONS = [_Position("LSTM, individual weights", WEIGHT_LETTERS),
                   _Position("LSTM, group variables of the gates", GROUP_LETTERS),
                   _Position("LSTM, group variables of input and hidden neurons", NEURON_LETTERS),
                   _Position("fully connected layer, individual weights", WEIGHT_LETTERS)]
POSITIONS = {
    "classification": [_Position("embedding, individual weights", WEIGHT_LETTERS),
                       _Position("embedding, group variables of the vocabulary", GROUP_LETTERS)] + _LSTM_POSITIONS,
    "language model": _LSTM_POSITIONS,
}
#: A CONFIG for each task, for messages.
EXAMPLE_CONFIGS = {"classification": "LLLCCL", "language model": "LCIL"}


def parse_config(text, task):
    """Parse a CONFIG string.

    Parameters
    ----------
    text : str
        Six letters for classification, four for a language model.
    task : {'classification', 'language model'}

    Returns
    -------
    Config

    Raises
    ------
    ReportedError
        If the length or a letter is invalid. The message names the position and the valid letters.

    Examples
    --------
    >>> from bayes_rnn.config import parse_config
    >>> config = parse_config("LCRL", "language model")
    >>> config.z_in, config.z_hid
    ('C', 'L')
    """
    positions = POSITIONS[task]
    if len(text) != len(positions):
        raise ReportedError("CONFIG of a %s must have %d letters (for example %s), got %r"
                            % ("text classifier" if task == "classification" else task, len(positions),
                               EXAMPLE_CONFIGS[task], text))
    for index, (letter, position) in enumerate(zip(text, positions)):
        if letter not in position.letters:
            reason = ", because constant weights cannot be trained" if letter == "C" else ""
            raise ReportedError("letter %d of CONFIG (%s) must be one of %s%s, got %r in %r"
                                % (index, position.name, ", ".join(position.letters), reason, letter, text))
    embedding, z_voc = (text[0], text[1]) if task == "classification" else (None, None)
    lstm, z_gates, neurons, dense = text[-4:]
    z_in, z_hid = {"I": ("L", "C"), "R": ("C", "L")}.get(neurons, (neurons, neurons))
    return Config(text, embedding, z_voc, lstm, z_gates, z_in, z_hid, dense)


def describe_positions(task):
    """Return the positions of CONFIG and their letters as text for ``--help``.

    Parameters
    ----------
    task : {'classification', 'language model'}

    Returns
    -------
    str

    Examples
    --------
    >>> from bayes_rnn.config import describe_positions
    >>> print(describe_positions("language model").splitlines()[1])
      0  LSTM, individual weights                           L D N
    """
    lines = ["CONFIG, position by position:"]
    lines += ["  %d  %-50s %s" % (index, position.name, " ".join(position.letters))
              for index, position in enumerate(POSITIONS[task])]
    used = set("".join(position.letters for position in POSITIONS[task]))
    return "\n".join(lines + ["  %s = %s" % item for item in MEANINGS.items() if item[0] in used])
