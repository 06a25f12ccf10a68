"""Runs that are interrupted: signals, full disks, folders that cannot be written, readers that end, second processes.

They are runs of the tiny networks in forked children, which have the compiled functions; `processes` has the same with
real programs.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time

from theano_rnn import interrupts

from helpers import running

from Experiments.shared import cli
from Experiments.shared.data.prepare import preparation_lock

from .valid_inputs import PROGRAMS, write_files
from .verdicts import MUST, NEVER, REFUSAL, SAME, Case

__all__ = ["signals", "full_disk", "forbidden", "pipes", "two_processes"]

#: Capabilities of the superuser that ignore the permissions of files: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH.
IGNORES_PERMISSIONS = 1 << 1 | 1 << 2
CAPABILITIES_VERSION = 0x20080522
NEW_MOUNTS = 0x20000        # CLONE_NEWNS


def _started(action, errors=None, output=os.devnull):
    """Run an action in a child of the case; return its number."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.signal(signal.SIGINT, interrupts.exit_program)
        for number, target in ((1, output), (2, errors)):
            if target is not None:
                opened = target if isinstance(target, int) else os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(opened, number)
        try:
            action()
            status = 0
        except SystemExit as ending:
            status = ending.code or 0
        except BaseException:
            import traceback
            traceback.print_exc()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
    finally:
        os._exit(status)


def _ended(child):
    """Wait for a child; return its exit status, negative for a signal."""
    _, code = os.waitpid(child, 0)
    return os.WEXITSTATUS(code) if os.WIFEXITED(code) else -os.WTERMSIG(code)


def _training(world, program, out):
    """Return an action that starts or resumes the tiny run of a program in a folder."""
    def train():
        resume = [world.experiment(program).dialect.resume] if os.path.exists(os.path.join(out, "config.json")) else []
        world.main(program, world.arguments(program, out, *resume))
    return train


def _finish(world, program, out):
    """Resume a run until it is finished, and compare it with the one that nothing interrupted."""
    status = _ended(_started(_training(world, program, out)))
    assert status == 0, "the last resumption ended with status %s" % status
    running.assert_same_end(out, world.run(program))
    return "identical"


def signals(world, random):
    """Kill, Ctrl-C, SIGTERM and SIGHUP at random moments of tiny runs, which are resumed until they are finished."""
    seconds = {}
    for program in PROGRAMS:
        world.run(program)
        seconds[program] = _duration(world, program)

    def action(folder, program, moments):
        out = os.path.join(folder, "run")
        for number, moment in moments:
            child = _started(_training(world, program, out))
            time.sleep(moment)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
            status = _ended(child)
            assert status in (0, 130, -number), "status %s after signal %s" % (status, number)
        return _finish(world, program, out)

    while True:
        program = random.choice(sorted(PROGRAMS))
        moments = [(random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]),
                    random.random() * 1.1 * seconds[program]) for _ in range(random.choice([1, 2, 3]))]
        yield Case("%s, signals %s" % (program, ", ".join("%d after %.3f s" % moment for moment in moments)),
                   lambda folder, program=program, moments=moments: action(folder, program, moments), MUST, "identical")


def _duration(world, program):
    """Return the seconds of a tiny run."""
    out = world._path("durations", program)
    began = time.time()
    _ended(_started(_training(world, program, out)))
    shutil.rmtree(out)
    return time.time() - began


# -- full disks --------------------------------------------------------------------------------------------------------

def _small_disk(folder, size):
    """Mount a file system of a size in bytes on a folder, for this process and its children; return whether it can be.

    It ends with the process. Only the superuser can do this.
    """
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(NEW_MOUNTS) != 0:
        return False
    commands = [["mount", "--make-rprivate", "/"], ["mount", "-t", "tmpfs", "-o", "size=%d" % size, "tmpfs", folder]]
    return all(subprocess.call(command, stderr=subprocess.DEVNULL) == 0 for command in commands)


def full_disk(world, random):
    """A disk that is full at a random moment of a run; then there is space, and the run is resumed."""
    def action(folder, program, size):
        disk, errors = os.path.join(folder, "disk"), os.path.join(folder, "errors")
        os.mkdir(disk)
        small, out = _small_disk(disk, size), os.path.join(disk, "run")
        train = _training(world, program, out)

        def limited():
            if not small:
                import resource
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size // 10, size // 10))
            train()
        status = _ended(_started(limited, errors))
        text = running.read_text(errors)
        assert status == 0 or status == 2 and REFUSAL.match(text), "status %s: %s" % (status, text[-1000:])
        if small:
            subprocess.check_call(["mount", "-o", "remount,size=100m", disk])
        return _finish(world, program, out)

    sizes = {program: sum(len(content) for content in running.folder_bytes(world.run(program)).values())
             for program in PROGRAMS}
    while True:
        program = random.choice(sorted(PROGRAMS))
        size = 4096 * random.randint(1, int(1.5 * sizes[program] / 4096) + 4)
        yield Case("%s, a disk of %d bytes" % (program, size), lambda folder, program=program, size=size: action(
            folder, program, size), MUST, "identical")


# -- permissions -------------------------------------------------------------------------------------------------------

def _obey_permissions():
    """Give up the capabilities of the superuser by which this process may use all files."""
    header, sets = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0), (ctypes.c_uint32 * 6)()
    library = ctypes.CDLL(None)
    library.capget(header, sets)
    sets[0] &= ~IGNORES_PERMISSIONS         # the effective ones
    library.capset(header, sets)


def forbidden(world, random):
    """Files that cannot be read, folders that cannot be written: one line, and nothing is changed."""
    def without_permission(path, mode, run):
        os.chmod(path, mode)
        _obey_permissions()
        run()

    def case(folder, program, kind):
        path = world.copied_run(program, folder)
        out, resume = os.path.join(folder, "locked", "run"), world.experiment(program).dialect.resume
        os.mkdir(os.path.dirname(out))
        data = shutil.copytree(world.data(program), os.path.join(folder, "data"))
        option = world.experiment(program).dialect.data_option
        arguments = world.arguments(program, path, resume, epochs=PROGRAMS[program]["epochs"] + 1)
        read = next(name for name in sorted(os.listdir(data)) if "train" in name and "char" not in name)
        raw = write_files(os.path.join(folder, "raw"), world.raw("Word_PTB"))
        kinds = {
            "new run": (os.path.dirname(out), 0o555, lambda: world.main(program, world.arguments(program, out))),
            "resumed run": (path, 0o555, lambda: world.main(program, arguments)),
            "unreadable run": (path, 0, lambda: world.main(program, arguments)),
            "unreadable checkpoint": (os.path.join(path, "last.npz"), 0, lambda: world.main(program, arguments)),
            "unreadable config.json": (os.path.join(path, "config.json"), 0, lambda: world.main(program, arguments)),
            "unreadable data": (data, 0, lambda: world.main(program, world.arguments(
                program, os.path.join(folder, "new"), option, data))),
            "unreadable file of the data": (os.path.join(data, read), 0, lambda: world.main(
                program, world.arguments(program, os.path.join(folder, "new"), option, data))),
            "prepared data": (os.path.dirname(out), 0o555, lambda: world.prepare("Word_PTB", raw,
                                                                                  os.path.dirname(out))),
            "source": (raw, 0, lambda: world.prepare("Word_PTB", raw, folder)),
            "file of the source": (os.path.join(raw, "ptb.train.txt"), 0, lambda: world.prepare(
                "Word_PTB", raw, folder)),
        }
        without_permission(*kinds[kind])

    kinds = ("new run", "resumed run", "unreadable run", "unreadable checkpoint", "unreadable config.json",
             "unreadable data", "unreadable file of the data", "prepared data", "source", "file of the source")
    while True:
        program, kind = random.choice(sorted(PROGRAMS)), random.choice(kinds)
        world.run(program)
        yield Case("%s, forbidden: %s" % (program, kind), lambda folder, program=program, kind=kind: case(
            folder, program, kind), NEVER)


# -- pipes and second processes ----------------------------------------------------------------------------------------

def pipes(world, random):
    """A reader of the output that ends after some lines, as ``head`` does: training continues."""
    def action(folder, program, lines, errors_too):
        read, write = os.pipe()
        out = os.path.join(folder, "run")
        child = _started(_training(world, program, out), write if errors_too else os.path.join(folder, "errors"), write)
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            for _ in range(lines):
                stream.readline()
        status = _ended(child)
        assert status == 0, "status %s" % status
        assert "End" in running.read_text(os.path.join(out, "log.txt")) or program != "language_modeling"
        running.assert_same_end(out, world.run(program))
        return "identical"

    while True:
        program, lines, errors_too = random.choice(sorted(PROGRAMS)), random.randrange(12), random.random() < 0.3
        world.run(program)
        yield Case("%s, a reader of %d lines" % (program, lines),
                   lambda folder, program=program, lines=lines, errors_too=errors_too: action(
                       folder, program, lines, errors_too), MUST, "identical")


def two_processes(world, random):
    """A second process in the folder of a run or of prepared data: refused, and the first one is not disturbed."""
    def action(folder, program, moment, second):
        out, errors = os.path.join(folder, "run"), os.path.join(folder, "errors")
        first = _started(_training(world, program, out))
        while not os.path.exists(os.path.join(out, ".lock")) and os.waitpid(first, os.WNOHANG) == (0, 0):
            time.sleep(0.001)
        time.sleep(moment)
        os.kill(first, signal.SIGSTOP)
        running_still = os.path.exists(os.path.join(out, ".lock"))
        if running_still:
            status = _ended(_started(lambda: second(out), errors))
            text = running.read_text(errors)
            # Before the first process has written config.json, there is no run to resume or to compress.
            assert status == 2 and REFUSAL.match(text) and (
                "process %d" % first in text or "(no config.json)" in text), (status, text)
        os.kill(first, signal.SIGCONT)
        assert _ended(first) == 0
        running.assert_same_end(out, world.run(program))
        return "identical"

    def preparation(folder):
        with preparation_lock(os.path.join(folder, "prepared")):
            world.prepare("Word_PTB", write_files(os.path.join(folder, "raw"), world.raw("Word_PTB")), folder)

    while True:
        program, moment = random.choice(sorted(PROGRAMS)), random.random() * 0.3
        world.run(program)
        if random.random() < 0.15:
            yield Case("prepared data in use", preparation, NEVER)
            continue
        experiment = world.experiment(program)
        kinds = {"start": lambda out, program=program: world.main(program, world.arguments(program, out)),
                 "resume": lambda out, program=program, experiment=experiment: world.main(program, world.arguments(
                     program, out, experiment.dialect.resume))}
        if program in running.CONFIGS:
            kinds["compress"] = lambda out, experiment=experiment: cli.run_compressed(experiment, [out])
        kind = random.choice(sorted(kinds))
        yield Case("%s, second process: %s" % (program, kind),
                   lambda folder, program=program, moment=moment, second=kinds[kind]: action(
                       folder, program, moment, second), SAME, "identical")
