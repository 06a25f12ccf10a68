"""One case of the campaign: an action in a forked child of this process, and what the child's end says about it.

The parent has imported everything and compiled the functions of the tiny networks, so a case takes milliseconds. The
child has limits of memory and time, and its output goes to files.
"""

import collections
import contextlib
import io
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback

__all__ = ["Case", "Verdict", "try_case", "in_child", "REFUSED", "SURVIVED", "ACCEPTED", "FAILED", "NEVER", "SAME",
           "ANY", "MUST", "REFUSAL"]

#: The outcomes that a case permits: it must be refused; it may be accepted with the result of the valid input; or with
#: another result, because the input is another valid one; it must be accepted with the result of the valid input.
NEVER, SAME, ANY, MUST = "never", "same", "any", "must"
#: The outcome of a case.
REFUSED, SURVIVED, ACCEPTED, FAILED = "refused in one line", "survived identical", "accepted", "failed"

#: Bytes that a case may need above the valid file, and above that the limit of the child; seconds of a case.
MOST_MEMORY, LIMIT, LONGEST = 10 ** 9, 3 * 10 ** 9, 60
#: The output of a refusal: one line, after warnings.
REFUSAL = re.compile(r"(warning: [^\n]*\n)*error: [^\n]+\n\Z")

#: title: for the report. action: called in the child with the folder of the case; returns text, the result, or ends
#: like a command line. may: `NEVER`, `SAME`, `ANY` or `MUST`. expected: the result of the valid input. check: called in
#: the parent with the folder afterwards, returns None or what is wrong. longest: seconds of the case.
Case = collections.namedtuple("Case", ["title", "action", "may", "expected", "check", "longest"])
Case.__new__.__defaults__ = (ANY, None, None, LONGEST)

#: kind; the reason of a failure, or what was printed on stderr; seconds.
Verdict = collections.namedtuple("Verdict", ["kind", "reason", "seconds"])
#: status: the exit status, negative for a signal, None for a hang. growth: peak memory above that of the parent.
Ending = collections.namedtuple("Ending", ["status", "result", "errors", "seconds", "growth"])


def try_case(case, keep=None):
    """Run a case in a child; return its `Verdict`.

    Parameters
    ----------
    case : Case
    keep : str, optional
        Folder to which the files of a failed case are moved.
    """
    folder = tempfile.mkdtemp(prefix="fault-")
    try:
        ending = in_child(lambda: case.action(folder), folder, case.longest)
        reason = _failure(case, ending) or (case.check and case.check(folder))
        if reason and keep:
            shutil.move(folder, os.path.join(keep, os.path.basename(folder)))
            reason += " (files: %s)" % os.path.basename(folder)
    finally:
        _remove(folder)
    kind = FAILED if reason else REFUSED if ending.status == 2 else ACCEPTED if case.may == ANY else SURVIVED
    return Verdict(kind, reason or ending.errors.strip()[-300:], ending.seconds)


def _remove(folder):
    for path, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            os.chmod(path, 0o777)
    shutil.rmtree(folder, ignore_errors=True)


def _failure(case, ending):
    """Return what is wrong with an ending, or None."""
    last = (ending.errors.strip().splitlines() or ["no message"])[-1][:300]
    if ending.status is None:
        return "takes more than %d s" % case.longest
    if ending.growth > MOST_MEMORY:
        return "takes %.1f GB" % (ending.growth / 1e9)
    if "Traceback" in ending.errors or ending.status not in (0, 2):
        return "status %s: %s" % (ending.status, last)
    if ending.status == 2:
        if not REFUSAL.match(ending.errors):
            return "%d lines: %s" % (ending.errors.count("\n"), last)
        return "needs too much memory: %s" % last if "not enough memory" in ending.errors else \
            "a valid case is refused: %s" % last if case.may == MUST else None
    if case.may == NEVER:
        return "accepted"
    if case.may in (SAME, MUST) and case.expected is not None and ending.result != case.expected:
        return "accepted with another result: %.200r, expected %.200r" % (ending.result, case.expected)
    return None


def in_child(action, folder, longest=LONGEST, limit=LIMIT):
    """Run a function in a forked child; return its `Ending`.

    Parameters
    ----------
    action : callable
        Without arguments. Returns the result: text, or None for none.
    folder : str
        For the files of the output.
    longest : float
        Seconds until the child is killed.
    limit : int or None
        Bytes of address space above that of this process.
    """
    paths = [os.path.join(folder, ".case-" + name) for name in ("result", "stdout", "stderr")]
    sys.stdout.flush()
    sys.stderr.flush()
    before, began = _resident(), time.time()
    child = os.fork()
    if child == 0:
        _be_child(action, paths, limit)
    status = used = None
    while status is None and time.time() - began < longest:
        done, code, used = os.wait4(child, os.WNOHANG)
        if done:
            status = os.WEXITSTATUS(code) if os.WIFEXITED(code) else -os.WTERMSIG(code)
        else:
            time.sleep(0.002)
    if status is None:
        os.kill(child, signal.SIGKILL)
        _, _, used = os.wait4(child, 0)
    result, _, errors = [_read(path) for path in paths]
    return Ending(status, result, errors or "", time.time() - began, 1024 * used.ru_maxrss - before)


def _be_child(action, paths, limit):
    """Run an action, write its result, and end this process."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limit is not None:
            with open("/proc/self/statm") as stream:
                size = int(stream.read().split()[0]) * resource.getpagesize() + limit
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
        for number, path in enumerate(paths[1:], 1):
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(target, number)
            os.close(target)
        sys.stdout, sys.stderr = [io.open(number, "w", encoding="utf-8", errors=errors, closefd=False)
                                  for number, errors in ((1, "strict"), (2, "backslashreplace"))]
        sys.stdin = io.open(os.devnull)
        try:
            result = action()
            if result is not None:
                with io.open(paths[0], "w", encoding="utf-8", errors="backslashreplace") as stream:
                    stream.write(result)
            status = 0
        except SystemExit as ending:
            status = ending.code if isinstance(ending.code, int) else 0 if ending.code is None else 1
        except BaseException:
            traceback.print_exc()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    finally:
        os._exit(status)


def _resident():
    """Return the bytes of memory that a child inherits: those of files are mapped again when they are used."""
    with open("/proc/self/statm") as stream:
        _, resident, shared = [int(field) for field in stream.read().split()[:3]]
    return (resident - shared) * resource.getpagesize()


def _read(path):
    if not os.path.exists(path):
        return None
    with io.open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read(100000)
