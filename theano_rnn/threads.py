"""The number of threads of this process; needs neither Theano nor NumPy."""

import os
import re

__all__ = ["number_of_threads"]


def number_of_threads():
    """Return the number of threads: that of ``OMP_NUM_THREADS``, else the number of cores this process may use.

    ``ops/cpp/threads.hpp`` has the same rule.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> from theano_rnn.threads import number_of_threads
    >>> number_of_threads() >= 1
    True
    """
    limit = re.match(r"\s*\+?(\d+)", os.environ.get("OMP_NUM_THREADS", ""))
    if limit and int(limit.group(1)):
        return int(limit.group(1))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
