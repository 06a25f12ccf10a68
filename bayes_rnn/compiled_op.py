"""How the operations written in C++ here are compiled."""

import hashlib
import io
import os

from theano import gof

__all__ = ["CompiledOp"]

FOLDER = os.path.dirname(os.path.abspath(__file__))


class CompiledOp(gof.Op):
    """Base class of a Theano operation whose `c_code` calls functions of C++ files, and which has no Python code.

    Attributes
    ----------
    sources : tuple of str
        Names of the files, beside this one, in the order in which they are pasted into the modules that Theano
        compiles. What several operations share stands in ``vectors.hpp``.

    Examples
    --------
    >>> from bayes_rnn.compiled_op import CompiledOp
    >>> class Sum(CompiledOp):
    ...     sources = ("vectors.hpp", "sum_op.cpp")
    """

    sources = ()

    def make_thunk(self, node, storage_map, compute_map, no_recycling, impl=None):
        # There is only C: also in the modes (FAST_COMPILE) in which Theano would prefer Python.
        return super(CompiledOp, self).make_thunk(node, storage_map, compute_map, no_recycling, impl="c")

    def c_support_code(self):
        parts = []
        for name in self.sources:
            with io.open(os.path.join(FOLDER, name), encoding="utf-8") as f:
                parts.append(f.read())
        return "\n".join(parts)

    def c_compile_args(self):
        # No -ffast-math: NaN and infinity must come through. Contraction to fused multiply-add is what makes products
        # fast, and a -std=c++.. among the user's flags would switch it off. None of ours: headers that were compiled
        # before serve only for the same language. What g++ takes for C++ by default is new enough since its version 6.
        return ["-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-pthread"]

    def c_code_cache_version(self):
        # Theano keeps compiled modules by version, and does not look at the support code.
        return (1, hashlib.sha1(self.c_support_code().encode("utf-8")).hexdigest())
