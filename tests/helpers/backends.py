"""For tests of what has a formulation in C++ ("fused") beside the plain one."""

import pytest
import theano

HAVE_FUSED = bool(theano.config.cxx)

needs_fused = pytest.mark.skipif(not HAVE_FUSED, reason="no C++ compiler")
both = pytest.mark.parametrize("implementation", ["plain", pytest.param("fused", marks=needs_fused)])

#: All rewriting, but of the operations only ours are compiled, which have no other code than C.
OPTIMISED = theano.Mode(linker="py", optimizer="fast_run")
