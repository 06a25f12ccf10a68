"""Stand-in for a training program: writes the files from which the state of a run is read, an epoch in 0.05 seconds."""

import argparse
import json
import os
import re
import signal
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--save")
parser.add_argument("--epochs", type=int)
parser.add_argument("--continue_train", action="store_true")
parser.add_argument("--fail", action="store_true")
parser.add_argument("--together", type=int, default=1, help="wait in epoch 1 until so many programs run")
parser.add_argument("--signal", nargs=3, metavar=("NUMBER", "TO", "EPOCH"),
                    help="in an epoch, send a signal to the parent and to this process (both), or to a process")
arguments = parser.parse_args()
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
os.makedirs(arguments.save, exist_ok=True)
log = open(os.path.join(arguments.save, "log.txt"), "a+", buffering=1)
log.seek(0)
done = len(re.findall("^Epoch ", log.read(), re.M))
with open(os.path.join(arguments.save, "config.json"), "w") as stream:
    json.dump({"settings": {"epochs": arguments.epochs}, "environment": dict(os.environ)}, stream)
# A line for each process: its name, start and end.
processes = open(os.path.join(os.path.dirname(arguments.save), "processes.txt"), "a+", buffering=1)
processes.write("start %d\n" % os.getpid())


def started():
    processes.seek(0)
    return processes.read().count("start")


log.write("compiling ...\n")
if done:
    if not arguments.continue_train:
        sys.exit("the run exists, but is not resumed")
    log.write("Resumed at epoch %d, minibatch 0\n" % (done + 1))
for epoch in range(done + 1, arguments.epochs + 1):
    began = time.time()
    while epoch == 1 and started() < arguments.together and time.time() - began < 60:
        time.sleep(0.01)
    time.sleep(0.05)
    if arguments.fail and epoch == 2:
        sys.stderr.write("error: the loss is not finite\n")
        processes.write("end %d\n" % os.getpid())
        sys.exit(2)
    if arguments.signal and epoch == int(arguments.signal[2]) and not done:
        receivers = [os.getppid(), os.getpid()] if arguments.signal[1] == "both" else [int(arguments.signal[1])]
        for receiver in receivers:
            os.kill(receiver, int(arguments.signal[0]))
        while not stopped and time.time() - began < 60:
            time.sleep(0.01)
    log.write("Epoch %d took 0.05s\n" % epoch)
    if stopped:
        log.write("Stopped\n")
        break
processes.write("end %d\n" % os.getpid())
if stopped:
    sys.exit(130)
log.write("Compressed model: small\n")
