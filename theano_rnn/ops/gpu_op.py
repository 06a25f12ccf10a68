"""Base class of the operations that launch kernels of their own on a GPU."""

import hashlib

import numpy as np
import pygpu
from pygpu import gpuarray
from theano.gpuarray.basic_ops import GpuKernelBase, gpuarray_helper_inc_dir
from theano.gpuarray.type import gpu_context_type

from .compiled_op import CompiledOp, read_source

__all__ = ["GpuOp", "POINTER", "SIZE", "UINT", "complete_source"]

#: Types of the arguments of a kernel.
POINTER, SIZE, UINT = gpuarray.GpuArray, gpuarray.SIZE, np.dtype("uint32")


class GpuOp(GpuKernelBase, CompiledOp):
    """Base class of an operation with kernels, in the dialect of libgpuarray, which compiles as CUDA and as OpenCL.

    Attributes
    ----------
    kernel_file : str
        Name of the file of the kernels, relative to this folder; None if the source is in Python.
    """

    params_type = gpu_context_type
    kernel_file = None

    def c_headers(self):
        return ["<gpuarray/types.h>", "<gpuarray/array.h>", "<gpuarray/kernel.h>", "<numpy_compat.h>",
                "<gpuarray_helper.h>"]

    def c_header_dirs(self):
        return [pygpu.get_include(), np.get_include(), gpuarray_helper_inc_dir()]

    def c_code_cache_version(self):
        kernels = "".join(kernel.code for kernel in self.gpu_kernels(None, None))
        return super(GpuOp, self).c_code_cache_version() + (hashlib.sha1(kernels.encode("utf-8")).hexdigest(),)

    def kernel_source(self, *sections, **replacements):
        """Return the source of a kernel.

        Parameters
        ----------
        *sections : str
            Names of sections: each is the text from the line ``#section NAME`` to the next such line. The text before
            the first section precedes them.
        **replacements : object
            Each replaces ``$(name)``.

        Returns
        -------
        str
        """
        common, _, text = read_source(self.kernel_file).partition("\n#section ")
        texts = dict(part.split("\n", 1) for part in text.split("\n#section "))
        source = "\n".join([common] + [texts[section] for section in sections])
        for name, replacement in replacements.items():
            source = source.replace("$(%s)" % name, str(replacement))
        return complete_source(source)


def complete_source(source):
    """Return the source of a kernel with the definitions of libgpuarray and of ``cpp/gpu_arrays.c``: str."""
    source = "\n".join(['#include "cluda.h"', read_source("cpp/gpu_arrays.c"), source])
    # Theano inserts it into a C string, in which a backslash would begin an escape sequence.
    return source.replace("\\\n", " ")
