"""How the operations written in C++ here are compiled."""

import hashlib
import io
import os

import theano.tensor as T
from theano import gof

__all__ = ["CompiledOp", "C_TYPES", "listed", "read_source"]

#: What C++ calls the types that the operations take.
C_TYPES = {"float32": "float", "float64": "double"}

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
    >>> from theano_rnn.ops.compiled_op import CompiledOp
    >>> class Sum(CompiledOp):
    ...     sources = ("vectors.hpp", "sum_op.cpp")
    """

    sources = ()

    @staticmethod
    def check_inputs(function, names, inputs, ndims, integers=()):
        """The inputs of a node, after checking that they fit: list of variables.

        Parameters
        ----------
        function : str
            What the user called, for the messages.
        names : sequence of str
            Of the inputs that are expected; the first is a number of the precision that all others must have.
        inputs : sequence of Theano variables or numbers
        ndims : dict of str to int
            Name of an input to its dimensions.
        integers : collection of str
            Names of those that are int64.

        Raises
        ------
        ValueError
            For another number of inputs.
        TypeError
            For other dimensions or types.
        """
        inputs = [T.as_tensor_variable(variable) for variable in inputs]
        if len(inputs) != len(names):
            raise ValueError("expected the inputs {}, got {} of them".format(", ".join(names), len(inputs)))
        for name, variable in zip(names, inputs):
            if variable.ndim != ndims[name]:
                raise TypeError("{}: {} has {} dimensions, but {} were expected".format(
                    function, name, variable.ndim, ndims[name]))
            if name in integers and variable.dtype != "int64":
                raise TypeError("{}: {} is {}, but int64 was expected".format(function, name, variable.dtype))
            if name not in integers and (variable.dtype != inputs[0].dtype or variable.dtype not in C_TYPES):
                raise TypeError("{}: {} is {}, but all arguments must be float32 or all float64".format(
                    function, name, variable.dtype))
        return inputs

    @staticmethod
    def call(function, arguments, sub):
        """C code that calls an entry point, which returns false when it has set a Python exception.

        Parameters
        ----------
        function : str
            With its template arguments.
        arguments : sequence of str
        sub : dict
            As `c_code` gets it.
        """
        return """
        if (!{}({})) {{
            {}
        }}
        """.format(function, ", ".join(arguments), sub["fail"])

    def make_thunk(self, node, storage_map, compute_map, no_recycling, impl=None):
        # There is only C: also in the modes (FAST_COMPILE) in which Theano would prefer Python.
        return super(CompiledOp, self).make_thunk(node, storage_map, compute_map, no_recycling, impl="c")

    def c_support_code(self):
        return "\n".join(read_source(name) for name in self.sources)

    def c_compile_args(self):
        # No -ffast-math: NaN and infinity must come through. Contraction to fused multiply-add is what makes products
        # fast, and a -std=c++.. among the user's flags would switch it off. None of ours: headers that were compiled
        # before serve only for the same language. What g++ takes for C++ by default is new enough since its version 6.
        return ["-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-pthread"]

    def c_code_cache_version(self):
        # Theano keeps compiled modules by version, and does not look at the support code.
        return (1, hashlib.sha1(self.c_support_code().encode("utf-8")).hexdigest())


def listed(names, keys):
    """The C variables of these keys, separated by commas; NULL for those that are not there."""
    return ", ".join(names.get(key, "NULL") for key in keys)


def read_source(name):
    """The text of a file beside this one."""
    with io.open(os.path.join(FOLDER, name), encoding="utf-8") as f:
        return f.read()
