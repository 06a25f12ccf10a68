"""Foundation of the Bayesian and the sparse recurrent networks: nothing here is specific to either.

Importing the package itself is instant and does not import Theano. Importing `theano_rnn.ops`, `theano_rnn.layers` or
`theano_rnn.lasagne_compat` configures Theano (flags, threads, BLAS); it compiles nothing. The modules:

* `theano_rnn.errors`: errors that command lines report in one line;
* `theano_rnn.npz_store`: named arrays in one file, written atomically;
* `theano_rnn.tokens`: text to tokens, and the special tokens;
* `theano_rnn.runtime`: configuration of Theano, its compile cache, GPUs;
* `theano_rnn.lasagne_compat`: Lasagne 0.1 with today's Theano;
* `theano_rnn.ops`: operations, each with a reference implementation and a fused one in C++;
* `theano_rnn.layers`, `theano_rnn.network`: base classes of recurrent layers and of networks with named parameters;
* `theano_rnn.updates`, `theano_rnn.step_function`: the guard of an update, and the compiled training step.
"""
