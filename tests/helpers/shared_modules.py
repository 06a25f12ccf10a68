"""Libraries of Theano's modules that the processes of pytest-xdist share: each has a compile cache of its own."""

import hashlib
import os
import shutil

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
        if "-shared" not in command:
            return compile_module(command, **options)
        library, source = command[command.index("-o") + 1:command.index("-o") + 3]
        stored = os.path.join(folder, _identity(command, source, theano.config.compiledir))
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


def _identity(command, source, cache):
    """Return what a module has in common with one of another process: its source code, and options without folders."""
    options = [part.replace(cache, "") for part in command if not part.startswith(os.path.dirname(source))]
    with open(source, "rb") as stream:
        return hashlib.sha1("\n".join(options).encode("utf-8", "surrogateescape") + stream.read()).hexdigest()
