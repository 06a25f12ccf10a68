"""Base class of the operations written in C++, and their in-place rewrites."""

import hashlib
import io
import os

import theano
import theano.tensor as T
from theano import gof

__all__ = ["CompiledOp", "C_TYPES", "COMMON_SOURCES", "listed", "read_source", "register_inplace", "with_properties"]

#: The C++ names of the types that the operations take.
C_TYPES = {"float32": "float", "float64": "double"}

#: The headers that all operations of the CPU share, in the order in which they depend on each other.
COMMON_SOURCES = ("cpp/shapes.hpp", "cpp/arrays.hpp", "cpp/threads.hpp", "cpp/vectors.hpp")

FOLDER = os.path.dirname(os.path.abspath(__file__))


class CompiledOp(gof.Op):
    """Base class of a Theano operation whose `c_code` calls functions of C++ files, and which has no Python code.

    Attributes
    ----------
    sources : tuple of str
        Names of the C++ files, relative to this folder, in the order of inclusion in the modules that Theano compiles.
    inplace : bool
        Whether outputs are written into the memory of inputs. Only operations that support it have this property.
    can_work_inplace : bool
        Whether the rewrite of `register_inplace` applies.

    Examples
    --------
    >>> from theano_rnn.ops.compiled_op import COMMON_SOURCES, CompiledOp
    >>> class Sum(CompiledOp):
    ...     sources = COMMON_SOURCES + ("sum/fused.cpp",)
    """

    sources = ()
    can_work_inplace = True

    @staticmethod
    def check_inputs(function, names, inputs, ndims, integers=()):
        """Return the inputs of a node as variables, after checks of their number, dimensions and types.

        Parameters
        ----------
        function : str
            Name of the public function, for the messages.
        names : sequence of str
            Names of the expected inputs. All must have the precision of the first.
        inputs : sequence of Theano variables or numbers
        ndims : dict of str to int
            Number of dimensions of each input.
        integers : collection of str
            Names of the inputs that are int64.

        Returns
        -------
        list of Theano variables

        Raises
        ------
        ValueError
            If the number of inputs is wrong.
        TypeError
            If the number of dimensions or the type of an input is wrong.
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
        """Return C code that calls an entry point. The entry point returns false if it has set a Python exception.

        Parameters
        ----------
        function : str
            Name of the C++ function, with its template arguments.
        arguments : sequence of str
        sub : dict
            The argument of `c_code`.

        Returns
        -------
        str
        """
        return """
        if (!{}({})) {{
            {}
        }}
        """.format(function, ", ".join(arguments), sub["fail"])

    def make_thunk(self, node, storage_map, compute_map, no_recycling, impl=None):
        # There is no Python code, which Theano would prefer in some modes (FAST_COMPILE).
        return super(CompiledOp, self).make_thunk(node, storage_map, compute_map, no_recycling, impl="c")

    def c_support_code(self):
        return "\n".join(read_source(name) for name in self.sources)

    def c_compile_args(self):
        # No -ffast-math: NaN and infinity must be preserved. Contraction to fused multiply-add makes the products fast.
        # The user's flags must not contain -std=c++.., which disables it. We set no -std, because precompiled headers
        # require the same language standard, and the default of g++ 6 and later is new enough.
        return ["-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-pthread"]

    def c_code_cache_version(self):
        # Theano's cache of modules compares versions, not the support code.
        return (1, hashlib.sha1(self.c_support_code().encode("utf-8")).hexdigest())


def listed(names, keys):
    """Return the C variables of some keys, separated by commas, with NULL for keys that are not in `names`: str."""
    return ", ".join(names.get(key, "NULL") for key in keys)


def read_source(name):
    """Return the text of a file in this folder."""
    with io.open(os.path.join(FOLDER, name), encoding="utf-8") as f:
        return f.read()


def with_properties(op, op_type=None, **changes):
    """Return an operation with the properties of `op`, updated by `changes`, and of type `op_type` if it is given."""
    return (op_type or type(op))(**dict(((name, getattr(op, name)) for name in op.__props__), **changes))


def register_inplace(name, *op_types):
    """Let Theano rewrite operations so that they write their outputs into the memory of their inputs.

    Theano undoes the rewrite of a node whose inputs are still needed. The rewrite runs together with Theano's own
    in-place rewrites (positions 50 to 75).

    Parameters
    ----------
    name : str
        Name of the rewrite, without the prefix ``theano_rnn``.
    *op_types : subclasses of CompiledOp
        Operations with a property `inplace`.
    """
    @gof.local_optimizer(list(op_types), inplace=True)
    def work_inplace(node):
        if not isinstance(node.op, op_types) or node.op.inplace or not node.op.can_work_inplace:
            return False
        return with_properties(node.op, inplace=True)(*node.inputs, **dict(return_list=True))

    theano.compile.optdb.register(
        "theano_rnn_%s_inplace" % name,
        gof.TopoOptimizer(work_inplace, failure_callback=gof.TopoOptimizer.warn_inplace), 70.5, "fast_run", "inplace")
