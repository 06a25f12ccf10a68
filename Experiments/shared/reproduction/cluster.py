"""Training runs as jobs: on this machine, or on a cluster with Slurm.

`submitit <https://github.com/facebookincubator/submitit>`_ starts the jobs. A job trains its runs in processes of their
own, with the commands of `Experiments.shared.reproduction.runs`. When Slurm preempts a job or its time limit is near,
training saves its state, and the job goes back to the queue and resumes later.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import namedtuple

from theano_rnn.errors import EXIT_INTERRUPTED, ReportedError
from theano_rnn.runtime.flags import flag

import submitit
from submitit.core.utils import DelayedSubmission, FailedJobError, environment_variables

from ..interruption import InterruptSwitch
from ..readers import checked, choice, positive_integer
from .runs import FINISHED, command, environment, source, state

__all__ = ["run_all", "add_options", "Failure", "TrainingJob", "EXECUTORS", "JOBS"]

#: Where the jobs run: on this machine, or in the queue of Slurm.
EXECUTORS = ("local", "slurm")

#: Folder of the jobs under the root of all runs: submissions, results and logs.
JOBS = "jobs"

#: How often a job may reach its time limit before it counts as failed.
TIME_LIMITS = 1000

#: Seconds before the time limit at which Slurm sends the signal to save: a minibatch, an evaluation and a checkpoint.
SAVING = 120

#: Options of sbatch that have another option here, or that submitit sets.
OWN_OPTIONS = {"time": "--minutes", "cpus-per-task": "--cpus", "array": "--max-jobs"}
FIXED_OPTIONS = ("error", "job-name", "nodes", "ntasks-per-node", "open-mode", "output", "signal", "wckey")

# A job leaves Slurm's queue before its result is visible on a network file system, and a job that was killed can be
# requeued by hand: seconds until a job without a result counts as failed, and between two requests to Slurm.
ABSENCE, REQUESTS = 30, 5

#: A run that failed: the `Run`; the exit status of its program, or None if the job ended without one; a sentence with
#: the reason; the path of the log.
Failure = namedtuple("Failure", ["run", "status", "reason", "log"])


# -- in the job --------------------------------------------------------------------------------------------------------

class TrainingJob(object):
    """Runs that are trained one after the other in one job. submitit stores it in a file and calls it in the job.

    Parameters
    ----------
    runs : sequence of Run
    root : str
        The root of all runs.
    threads : int
        Threads of each training process, unless the user's environment sets them.
    """

    def __init__(self, runs, root, threads):
        self.runs, self.root, self.threads = list(runs), root, threads
        # submitit's local executor hides all GPUs.
        self._gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
        self._process = self._requeue = None

    def __call__(self):
        """Train all runs that are not finished.

        Returns
        -------
        (str, int) or None
            Folder of the run that is not finished, and exit status of its program. Later runs are not started, because
            they need its result.
        """
        self._requeue = signal.getsignal(_requeue_signal())
        signal.signal(signal.SIGTERM, self._terminate)
        for run in self.runs:
            if state(run, self.root).name != FINISHED:
                status = self._train(run)
                if status or state(run, self.root).name != FINISHED:
                    return run.folder, status
        return None

    def checkpoint(self):
        """Save the state of the training. submitit calls this function before it requeues the job.

        Returns
        -------
        submitit.helpers.DelayedSubmission
            What the job does when it runs again.
        """
        self._stop()
        return DelayedSubmission(TrainingJob(self.runs, self.root, self.threads))

    def _train(self, run):
        # In a session of its own, the process does not get Ctrl-C from the terminal: `run_all` decides what stops.
        arguments = command(run, self.root)
        self._process = subprocess.Popen(arguments, env=self._environment(), cwd=os.path.dirname(arguments[1]),
                                         stdin=subprocess.DEVNULL, start_new_session=True,
                                         preexec_fn=_ignore_requeue_signal)
        # Not Popen.wait: it holds a lock, and a signal handler could not wait for the same process.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        return self._process.wait()

    def _environment(self):
        """Return the environment variables of a training process."""
        variables = environment()
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            variables.setdefault(name, str(self.threads))
        if submitit.JobEnvironment().cluster == "slurm":
            # The nodes share the home directory, but compiled modules are for the processor of one node, and locks on
            # network file systems are slow. If a flag is given twice, Theano uses the last one, which is the user's.
            cache = os.path.join(os.path.expanduser("~"), ".theano", "nodes", socket.gethostname())
            variables["THEANO_FLAGS"] = "%s,%s" % (flag("base_compiledir", cache), variables.get("THEANO_FLAGS", ""))
        elif self._gpus is None:
            variables.pop("CUDA_VISIBLE_DEVICES", None)
        else:
            variables["CUDA_VISIBLE_DEVICES"] = self._gpus
        return variables

    def _stop(self):
        """Let the training process save its state, and wait until it has ended."""
        if self._process is None:
            return
        try:
            os.kill(self._process.pid, signal.SIGTERM)
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        except (ProcessLookupError, ChildProcessError):         # it has ended already
            pass

    def _terminate(self, number, frame):
        """Handle SIGTERM, which Slurm sends when a job is preempted, requeued or cancelled."""
        self._stop()
        # A job that is requeued or cancelled by a command is not running any more at this moment. A preempted job runs
        # until the end of its grace time, and counts as completed if it just ends.
        if submitit.JobEnvironment().cluster == "slurm" and _slurm_state(submitit.JobEnvironment().job_id) == "RUNNING":
            self._requeue(number, frame)
        sys.exit(EXIT_INTERRUPTED)


def _requeue_signal():
    """Return the signal that submitit handles by requeueing the job."""
    return getattr(signal, "SIG" + submitit.JobEnvironment.USR_SIG)


def _ignore_requeue_signal():
    """Ignore, in the training process, the signal that is for its parent. Slurm sends it to all processes."""
    signal.signal(_requeue_signal(), signal.SIG_IGN)


def _slurm_state(job_id):
    """Return the state of a job of Slurm, such as ``"RUNNING"``; empty if Slurm does not answer."""
    request = ["squeue", "--noheader", "--states=all", "--format=%T", "--jobs=" + job_id]
    return subprocess.run(request, stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()


# -- in the program that starts the jobs -------------------------------------------------------------------------------

class _Local(object):
    """Jobs on this machine: a maximum number of them at the same time."""

    interrupted = "stopping; the runs are saved first ..."

    def __init__(self, folder, max_jobs, cpus, minutes, sbatch):
        if sbatch:
            raise ReportedError("--sbatch is only for --executor slurm, got %s" % sbatch[0])
        self.slots = max_jobs or 1
        self.cpus = cpus or max(1, len(os.sched_getaffinity(0)) // self.slots)
        self._executor = submitit.AutoExecutor(folder, cluster="local")
        self._executor.update_parameters(timeout_min=365 * 24 * 60)

    def queued(self):
        return []

    def submit(self, jobs):
        # The processes of submitit must not end after Ctrl-C, before the runs are saved.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
        try:
            submitted = self._executor.submit_array(jobs)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        for job in submitted:                       # its number is that of a process, and can occur again
            if job.paths.result_pickle.exists():
                job.paths.result_pickle.unlink()
        return submitted

    def has_ended(self, job):
        return job.done()

    def interrupt(self, jobs):
        """Let the runs save their state, and wait until they have ended."""
        for job in jobs:
            if not job.done():
                os.kill(int(job.job_id), signal.SIGTERM)
        while not all(job.done() for job in jobs):
            time.sleep(0.1)


class _Slurm(object):
    """Jobs in the queue of Slurm: one array, with a maximum number of jobs at the same time."""

    interrupted = "stopping to wait; the jobs continue. The same command waits for them again, scancel ends them"

    def __init__(self, folder, max_jobs, cpus, minutes, sbatch):
        for program in ("sbatch", "srun", "squeue", "scontrol"):
            if shutil.which(program) is None:
                raise ReportedError("--executor slurm needs %s, which is not on PATH" % program)
        self.slots = sys.maxsize
        self.cpus = cpus or 2
        self._folder = folder
        self._executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=TIME_LIMITS)
        self._executor.update_parameters(
            name="reproduce", timeout_min=minutes, cpus_per_task=self.cpus, slurm_signal_delay_s=SAVING,
            slurm_array_parallelism=max_jobs or sys.maxsize,
            # Since 22.05, srun does not take the number from sbatch. A requeued job must not overwrite its log.
            slurm_srun_args=["--cpus-per-task=%d" % self.cpus, "--open-mode=append"],
            slurm_additional_parameters=dict({"requeue": True}, **_sbatch_options(sbatch)))
        self._present, self._asked = {}, 0.

    def queued(self):
        """Return the jobs of an earlier call that are still in the queue: list of submitit.SlurmJob."""
        jobs = [submitit.SlurmJob(self._folder, job_id) for job_id in self._ids() or ()]
        return [job for job in jobs if job.paths.submitted_pickle.exists()]

    def submit(self, jobs):
        try:
            # `clean_env` hides the job in which this program may run; it also hides the configuration of the user.
            kept = {name: value for name, value in os.environ.items() if name.startswith(("SLURM_CONF", "SBATCH_"))}
            with submitit.helpers.clean_env(), environment_variables(**kept):
                return self._executor.submit_array(jobs)
        except FailedJobError as error:
            raise ReportedError("Slurm refused the jobs: %s" % " ".join(str(error).split())) from error

    def has_ended(self, job):
        if job.paths.result_pickle.exists():
            return True
        now = time.time()
        if now - self._asked >= REQUESTS:
            self._asked = now
            os.listdir(self._folder)                # a network file system reads the folder again
            self._present.update((job_id, now) for job_id in self._ids() or ())
        return now - self._present.setdefault(job.job_id, now) > ABSENCE

    def interrupt(self, jobs):
        pass

    def _ids(self):
        """Return the ids of the user's jobs in the queue: list of str, or None if Slurm does not answer."""
        answer = subprocess.run(["squeue", "--noheader", "--me", "--array", "--format=%i"], stdout=subprocess.PIPE,
                                universal_newlines=True)
        return None if answer.returncode else answer.stdout.split()


def _sbatch_options(options):
    """Return options of sbatch, ``name=value`` or ``name``, as a dict."""
    read = {}
    for option in options:
        name, equals, value = option.lstrip("-").partition("=")
        name = name.replace("_", "-")
        if name in OWN_OPTIONS:
            raise ReportedError("--sbatch %s: use %s" % (option, OWN_OPTIONS[name]))
        if not name or name in FIXED_OPTIONS:
            raise ReportedError("--sbatch %s: expected another option of sbatch, for example partition=gpu" % option)
        read[name.replace("-", "_")] = value if equals else True
    return read


def add_options(parser):
    """Add the options that choose where runs are trained; their names are those of the arguments of `run_all`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    group = parser.add_argument_group("jobs")
    group.add_argument("--executor", choices=EXECUTORS, default="local",
                       help="train on this machine (local, the default), or in jobs of a cluster (slurm)")
    group.add_argument("--max-jobs", type=int, metavar="N",
                       help="runs at the same time (default: 1 on this machine, no limit on a cluster)")
    group.add_argument("--cpus", type=int, metavar="N",
                       help="processor cores of a run (default: all cores of this machine divided by --max-jobs; 2 on "
                            "a cluster)")
    group.add_argument("--minutes", type=int, metavar="N", default=24 * 60,
                       help="time limit of a job of Slurm (default: %(default)s). A run that needs more is saved, and "
                            "its job is requeued. Use at least 30: shortly before the limit, the run is saved")
    group.add_argument("--sbatch", metavar="NAME=VALUE", action="append", default=[],
                       help="another option of sbatch, such as partition=gpu or gres=gpu:1; may be repeated")


def run_all(runs, root, executor="local", max_jobs=None, cpus=None, minutes=24 * 60, sbatch=()):
    """Train runs to their end, in jobs, and wait for them.

    Finished runs are not repeated, interrupted ones are resumed. A run that fails does not stop the others, except a
    fine-tuning of its result. Jobs of an earlier call that are still in the queue of Slurm are not submitted again.

    Ctrl-C, SIGTERM and a lost terminal save the runs on this machine and end them. Jobs of Slurm continue.

    Parameters
    ----------
    runs : sequence of Run
    root : str
        The root of all runs. The logs of the jobs are in its folder ``jobs``.
    executor : {"local", "slurm"}
    max_jobs : int, optional
        Jobs at the same time. The default is 1 on this machine, and no limit in Slurm.
    cpus : int, optional
        Processor cores of a job. By default, the jobs on this machine share its cores, and those of Slurm get 2.
    minutes : int
        Time limit of a job of Slurm.
    sbatch : sequence of str
        Further options of sbatch, ``name=value``.

    Returns
    -------
    list of Failure
        Empty if all runs are finished.

    Raises
    ------
    ReportedError
        If an argument is wrong, or Slurm refuses the jobs.
    KeyboardInterrupt
        After Ctrl-C, SIGTERM or SIGHUP.

    Examples
    --------
    >>> failures = run_all(runs, "Results/reproduce", executor="slurm", max_jobs=8)      # doctest: +SKIP
    """
    root = os.path.abspath(root)
    numbers = [value if value is None else checked(name, positive_integer, value)
               for name, value in (("max_jobs", max_jobs), ("cpus", cpus), ("minutes", minutes))]
    jobs_class = _Slurm if checked("executor", choice(EXECUTORS), executor) == "slurm" else _Local
    folder = os.path.join(root, JOBS)
    backend = jobs_class(folder, *numbers, sbatch=list(sbatch))
    waiting = _chains([run for run in runs if state(run, root).name != FINISHED])
    if not waiting:
        return []
    os.makedirs(folder, exist_ok=True)
    _say("%s; logs: %s" % (_count(len(waiting), "job"), folder))

    running, failures = [], []
    with InterruptSwitch(message=backend.interrupted) as switch:
        for job in backend.queued():
            chain = job.submission().function.runs
            if any(set(chain) & set(other) for other in waiting):
                running.append((chain, job))
                _say("%s: job %s is in the queue already" % (_names(chain), job.job_id))
        queued = {run for chain, _ in running for run in chain}
        waiting = [chain for chain in waiting if not queued & set(chain)]
        while (waiting or running) and not switch.pressed:
            chains = waiting[:max(0, backend.slots - len(running))]
            if chains:
                del waiting[:len(chains)]
                with environment_variables(PYTHONPATH=environment()["PYTHONPATH"]):
                    submitted = backend.submit([TrainingJob(chain, root, backend.cpus) for chain in chains])
                for chain, job in zip(chains, submitted):
                    running.append((chain, job))
                    _say("%s: job %s, log %s" % (_names(chain), job.job_id, job.paths.stdout.name))
            time.sleep(0.5)
            for chain, job in [entry for entry in running if backend.has_ended(entry[1])]:
                running.remove((chain, job))
                failed = _failures(chain, job)
                failures += failed
                for failure in failed:
                    _say("%s: %s; log: %s" % (failure.run.folder, failure.reason, failure.log))
                if not failed:
                    _say("%s: finished" % _names(chain))
        if switch.pressed:
            backend.interrupt([job for _, job in running])
            raise KeyboardInterrupt
    return failures


def _say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _count(number, noun):
    return "%d %s%s" % (number, noun, "" if number == 1 else "s")


def _names(chain):
    return ", ".join(run.folder for run in chain)


def _chains(runs):
    """Return the runs as lists for one job each: a run, and the runs that continue from its result."""
    chains, chain_of = [], {}
    for run in sorted(runs, key=lambda run: source(run) is not None):
        chain = chain_of.get(source(run))
        if chain is None:
            chain = []
            chains.append(chain)
        chain.append(run)
        chain_of[run.folder] = chain
    return chains


def _failures(chain, job):
    """Return the failures of a job that has ended: list of Failure."""
    status = None
    if not job.paths.result_pickle.exists():
        run, reason = chain[0], "job %s ended without a result: it was cancelled or killed" % job.job_id
        log = job.paths.stderr
    elif job.exception() is not None:
        run, reason, log = chain[0], "job %s failed" % job.job_id, job.paths.stderr
    elif job.result() is None:
        return []
    else:
        folder, status = job.result()
        run = next(run for run in chain if run.folder == folder)
        reason = "%s with exit status %d%s" % ("failed" if status else "ended too early", status,
                                               _last_line(job.paths.stderr))
        log = job.paths.stderr
    later = chain[chain.index(run) + 1:]
    return [Failure(run, status, reason, str(log))] + \
        [Failure(other, None, "not started, because %s failed" % run.folder, str(log)) for other in later]


def _last_line(path):
    """Return the last line of a log, in brackets; empty if there is none."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    lines = [line.strip() for line in lines if line.strip()]
    return " (%s)" % lines[-1] if lines else ""
