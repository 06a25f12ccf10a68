#!/usr/bin/env bash
# Tests Experiments/reproduce.py with a real Slurm: a controller and a daemon for one node, on this machine. Trains a small
# table on generated data in jobs of Slurm. One job is killed and requeued, one is preempted, one is requeued while it
# runs. The table must be equal to the one that is trained without Slurm.
#
#     tests/slurm/run.sh          as root, or with sudo; installs slurm-wlm and munge with apt-get if they are missing
#
# Where that is not possible, the script says why and ends with status 0. The daemons have their own configuration, keys
# and ports, in a temporary folder. They are stopped and the folder is removed at the end, also after a failure.
#
# PYTHON   the interpreter; default venv/bin/python
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PYTHON=${PYTHON:-$PWD/venv/bin/python}
PROGRAMS=(munged slurmctld slurmd sbatch srun squeue scontrol scancel)
# A run must take longer than Slurm needs to preempt it: a few seconds.
TABLE=(emnlp-2 --demo --rows Word_PTB/LCIL --seeds 0 1 2 --epochs 30)
WAIT=${WAIT:-300}                           # seconds after which a step counts as failed
# The compile cache of the other tests. By default, each node has its own.
export THEANO_FLAGS=base_compiledir=$HOME/.theano,${THEANO_FLAGS:-}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PATH=$PATH:/usr/sbin:/sbin

say()  { printf '== %4d s: %s\n' "$SECONDS" "$*"; }
skip() { echo "== skipped: tests/slurm/run.sh: $*"; exit 0; }
fail() { say "FAILED: $*"; exit 1; }

# ---------------------------------------------------------------------------------------------------- set-up, clean-up

all_installed() { local program; for program in "${PROGRAMS[@]}"; do command -v "$program" >/dev/null || return 1; done; }

install_slurm() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get)
    all_installed && return
    command -v apt-get >/dev/null || skip "no slurm-wlm and munge here, and no apt-get"
    say "installing slurm-wlm and munge"
    "${apt[@]}" install -y -qq --no-install-recommends slurm-wlm munge </dev/null >"$FOLDER/apt.log" 2>&1 ||
        { "${apt[@]}" update -qq && "${apt[@]}" install -y -qq --no-install-recommends slurm-wlm munge; } \
            </dev/null >>"$FOLDER/apt.log" 2>&1 || true
    all_installed || skip "apt-get cannot install slurm-wlm and munge: $(tail -n 1 "$FOLDER/apt.log")"
}

free_ports() {                              # two TCP ports that no program uses
    "$PYTHON" -c '
import socket
sockets = [socket.socket() for _ in range(2)]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in sockets))'
}

# Four processors, whatever the machine has: more than two jobs of the table need, so that --max-jobs 2 has an effect.
# Debian's containers have no control groups that Slurm could use: it finds the processes of a job by their parents.
configure() {
    local node ports
    node=$(hostname -s)
    read -ra ports <<<"$(free_ports)"
    mkdir "$FOLDER/munge" "$FOLDER/state" "$FOLDER/spool"
    head -c 1024 /dev/urandom >"$FOLDER/munge/key"
    chmod 600 "$FOLDER/munge/key"
    export SLURM_CONF=$FOLDER/slurm.conf
    cat >"$SLURM_CONF" <<EOT
ClusterName=test
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$FOLDER/munge/socket,cred_expire=5
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.pid
SlurmctldLogFile=$FOLDER/slurmctld.log
SlurmdLogFile=$FOLDER/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
SlurmdParameters=config_overrides
ReturnToService=2
NodeName=$node NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=low Nodes=$node Default=YES PriorityTier=1 GraceTime=60
PartitionName=high Nodes=$node PriorityTier=10
EOT
}

start_daemons() {
    munged --key-file="$FOLDER/munge/key" --socket="$FOLDER/munge/socket" --pid-file="$FOLDER/munge/pid" \
        --log-file="$FOLDER/munge/log" --seed-file="$FOLDER/munge/seed"
    slurmctld
    slurmd
    until_true "the node is idle" node_is_idle
}

node_is_idle() { [ "$(sinfo --noheader --partition=low --format=%t 2>/dev/null)" = idle ]; }

clean_up() {
    local status=$? file pid
    trap - EXIT
    set +e
    if [ $status != 0 ] && [ -e "$FOLDER/slurm.log" ]; then
        tail -n 30 "$FOLDER/slurm.log" "$FOLDER"/slurm/jobs/*_log.err "$FOLDER/slurmctld.log" "$FOLDER/slurmd.log"
    fi
    [ -z "${DRIVER:-}" ] || kill "$DRIVER" 2>/dev/null
    if [ -e "$FOLDER/slurmctld.pid" ]; then
        scancel --user=root --quiet
        for _ in {1..400}; do no_jobs && break; sleep 0.1; done         # Slurm kills what has not ended after 30 s
    fi
    for file in slurmd.pid slurmctld.pid munge/pid; do
        pid=$(cat "$FOLDER/$file" 2>/dev/null) || continue
        kill "$pid"
        for _ in {1..100}; do is_running "$pid" || break; sleep 0.1; done
        is_running "$pid" && kill -KILL "$pid"
    done
    rm -rf "$FOLDER"
    exit $status
}

is_running() { [ -e "/proc/$1/status" ] && ! grep -q '^State:.Z' "/proc/$1/status"; }
no_jobs() { [ -z "$(squeue --noheader)" ]; }

# -------------------------------------------------------------------------------------------------------------- the test

until_true() {                              # until_true DESCRIPTION COMMAND...: wait until the command succeeds
    local end=$((SECONDS + WAIT))
    until "${@:2}"; do
        [ $SECONDS -lt $end ] || fail "after $WAIT s, it is still false that $1"
        [ -z "${DRIVER:-}" ] || is_running "$DRIVER" || fail "reproduce.py has ended before $1"
        sleep 0.2
    done
}

reproduce() {                               # reproduce NAME OPTION...: writes the table in the folder NAME
    "$PYTHON" Experiments/reproduce.py "${TABLE[@]}" --runs "$FOLDER/$1" --data-dir "$FOLDER/data" --max-jobs 2 --cpus 1 \
        "${@:2}" >"$FOLDER/$1.log" 2>&1
}

run_of()    { echo "$FOLDER/slurm/Word_PTB/LCIL/seed$1"; }             # of the job with this number in the array
field_of()  { squeue --noheader --array --states=all --format="%K $2" | awk -v job="$1" '$1 == job {print $2}'; }
is()        { [ "$(field_of "$1" %T)" = "$2" ]; }
epochs_of() { grep -c '^Epoch ' "$(run_of "$1")/log.txt" 2>/dev/null || true; }
trains()    { is "$1" RUNNING && [ -e "$(run_of "$1")/last.npz" ] && [ "$(epochs_of "$1")" -ge 2 ]; }
one_pends() { [ "$(squeue --noheader --array --states=pending --format=%r)" = JobArrayTaskLimit ]; }
resumed()   { [ "$(grep -c '^Resumed at epoch' "$(run_of "$1")/log.txt")" -ge 1 ]; }

main() {
    if [ "$(id -u)" != 0 ]; then
        { command -v sudo && sudo -n true; } >/dev/null 2>&1 || skip "Slurm's daemons need root, or sudo"
        exec sudo -n env PYTHON="$PYTHON" "$PWD/tests/slurm/run.sh"
    fi
    [ -x "$PYTHON" ] || fail "no $PYTHON; run ./setup_env.sh"
    FOLDER=$(mktemp -d)
    chmod 755 "$FOLDER"
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    install_slurm
    configure
    start_daemons
    say "$(sinfo --version): controller and node daemon run"

    reproduce local || { cat "$FOLDER/local.log"; fail "reproduce.py --executor local"; }
    say "the table is made without Slurm"

    reproduce slurm --executor slurm &
    DRIVER=$!
    until_true "two jobs train" eval 'trains 0 && trains 1'
    until_true "the third job waits because of --max-jobs 2" one_pends
    say "an array of three jobs: two train, the third waits (JobArrayTaskLimit)"

    local pids
    mapfile -t pids < <(scontrol listpids "$(field_of 1 %A)" | awk 'NR > 1 && $1 > 1 {print $1}')
    kill -KILL "${pids[@]}"
    sbatch --quiet --partition=high --cpus-per-task=4 --output=/dev/null --wrap="sleep 2"
    until_true "the killed job has failed" is 1 FAILED
    scontrol requeue "$(field_of 1 %i)"
    say "job 1 is killed with SIGKILL after epoch $(epochs_of 1), and requeued"

    until_true "job 0 is preempted" is 0 PENDING
    grep -q 'Caught signal SIGUSR2 .*: this job is preempted' "$FOLDER"/slurm/jobs/*_0_0_log.err ||
        fail "the preempted job did not get the signal"
    say "job 0 is preempted after epoch $(epochs_of 0); it has got the signal"

    until_true "the third job trains" trains 2
    scontrol requeue "$(field_of 2 %i)"
    say "job 2 is requeued while it runs, after epoch $(epochs_of 2)"

    wait "$DRIVER" || { DRIVER=; fail "reproduce.py --executor slurm"; }
    DRIVER=
    local number
    for number in 0 1 2; do
        resumed "$number" || fail "job $number was not resumed"
        say "job $number: $(grep '^Resumed at epoch' "$(run_of "$number")/log.txt" | tr '\n' ';')"
        cmp "$(run_of "$number")/compressed.npz" "$FOLDER/local/Word_PTB/LCIL/seed$number/compressed.npz"
    done
    grep -q "base_compiledir=[^,]*/nodes/$(hostname)," "$(run_of 0)/config.json" || fail "no compile cache of the node"
    diff "$FOLDER/local/emnlp-2.csv" "$FOLDER/slurm/emnlp-2.csv" || fail "the tables differ"
    diff "$FOLDER/local/emnlp-2.md" "$FOLDER/slurm/emnlp-2.md" || fail "the tables differ"
    say "the tables are equal, and the compressed models have the same bytes:"
    cat "$FOLDER/slurm/emnlp-2.md"
    say "passed"
}

main "$@"
