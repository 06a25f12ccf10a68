"""Libraries of Theano's modules that the processes of pytest-xdist share: each has a compile cache of its own."""

import os
import shutil

from theano_rnn.runtime.parallel_compilation import module_identity, module_paths

__all__ = ["share_modules"]


def share_modules(folder):
    """Copy a library from a folder, instead of compiling it, if another process has compiled the same module.

    Parameters
    ----------
    folder : str
        Every process has the same one.
    """
    import theano
    from theano.gof import cmodule
    compile_module = cmodule.output_subprocess_Popen
    os.makedirs(folder, exist_ok=True)

    def compile_or_copy(command, **options):
        paths = module_paths(command)
        if paths is None:
            return compile_module(command, **options)
        source, library = paths
        # The options name files in the cache of the process.
        name = module_identity([part.replace(theano.config.compiledir, "") for part in command], source)
        stored = os.path.join(folder, name)
        if os.path.exists(stored):
            shutil.copy(stored, library)
            return b"", b"", 0
        output = compile_module(command, **options)
        if output[2] == 0:
            temporary = "%s.%d" % (stored, os.getpid())
            shutil.copy(library, temporary)
            os.rename(temporary, stored)
        return output
    cmodule.output_subprocess_Popen = compile_or_copy
