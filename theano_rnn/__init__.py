"""Foundation that the Bayesian and the sparse recurrent networks share.

Importing the package itself does not import Theano. Importing `theano_rnn.ops`, `theano_rnn.layers` or
`theano_rnn.lasagne_compat` configures Theano (flags, threads, BLAS) without compiling anything. The modules:

* `theano_rnn.interrupts`: Ctrl-C while a program starts, imports or ends;
* `theano_rnn.folder_lock`: the lock of a folder that one process at a time may write;
* `theano_rnn.errors`: errors that command lines print as one line;
* `theano_rnn.numpy_predictor`: prediction with a compressed LSTM; a file that needs NumPy only and can be copied;
* `theano_rnn.npz_store`: named arrays in one file, written atomically;
* `theano_rnn.tokens`: conversion of text to tokens, and the special tokens;
* `theano_rnn.threads`: the number of threads of this process;
* `theano_rnn.runtime`: configuration of Theano, its compile cache, GPUs;
* `theano_rnn.lasagne_compat`: Lasagne 0.1, importable with Theano 0.9 and later;
* `theano_rnn.ops`: operations, each with a reference implementation and a fused one in C++; updates that change
  nothing if the loss is not finite;
* `theano_rnn.layers`, `theano_rnn.network`: base classes of recurrent layers and of networks with named parameters;
* `theano_rnn.step_function`: the compiled training step.
"""

from . import interrupts

interrupts.begin()
