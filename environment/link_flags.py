"""Print the g++ flags with which a shared object links against the Python interpreter that runs this file.

They are the flags that Theano uses for the modules it compiles: one per line, for headers, library folder and library.
"""

import sysconfig


def link_flags():
    """Return the flags as a list of str."""
    name = sysconfig.get_config_var("LDLIBRARY").rpartition(".")[0]         # "libpython3.9" of "libpython3.9.so"
    return ["-I" + sysconfig.get_paths()["include"], "-L" + sysconfig.get_config_var("LIBDIR"),
            "-l" + name[len("lib"):]]


if __name__ == "__main__":
    print("\n".join(link_flags()))
