"""Operations of recurrent networks, one package each, with a reference implementation and a fused one in C++.

Importing this package configures Theano, unless that has been done (`theano_rnn.runtime.ensure_configured`).
"""

from theano_rnn.runtime import ensure_configured

ensure_configured()
