"""The classes of cases: each is an endless generator of `Case`s, drawn with a random number generator."""

import collections
import contextlib
import io
import itertools
import json
import os
import shutil
from unittest import mock

from theano_rnn.errors import ReportedError

import numpy as np
from helpers import running

from bayes_rnn import predict as predict_program
from bayes_rnn import predictor
from bayes_rnn.config import parse_config
from bayes_rnn.model_file import save_model
from Experiments.shared import cli, train_and_evaluate
from Experiments.shared.bayesian_experiments import NETWORKS
from Experiments.shared.data import word_vectors
from Experiments.shared.data.vocabulary import VOCABULARY_FILE

from . import damage, interruptions
from .valid_inputs import PROGRAMS, digest_of_data, write, write_files
from .verdicts import ANY, MUST, NEVER, SAME, Case

__all__ = ["CLASSES", "INTERRUPTIONS", "OPTIONAL"]

#: Beginnings of the names of arrays of the training state in a checkpoint.
TRAINING_STATE = ("adam", "sgd", "noise", "carried")
#: The data sets whose prepared data are arrays.
PREPARED = ("IMDB", "AGNews", "Char_PTB", "Word_PTB")


def _content(path):
    return running.read_bytes(path)


def _npz_cases(world, random, path):
    """Yield title, content and what may happen, for a valid ``.npz`` file: all kinds of damage."""
    content = _content(path)
    arrays, metadata = world.contents(path)
    yield "unchanged", content, MUST
    for kind in itertools.cycle(["bytes"] * 3 + ["arrays"] * 3 + ["metadata"] * 3 + ["strange"]):
        if kind == "bytes":
            yield damage.damaged(content, random, [b"", b"PK\x05\x06" + bytes(18)]) + (SAME,)
        elif kind == "arrays":
            title, changed = damage.changed_arrays(arrays, random)
            yield title, damage.npz_bytes(changed, metadata), NEVER
        elif kind == "metadata":
            title, changed = damage.changed_metadata(metadata, random)
            yield title, damage.npz_bytes(arrays, changed), ANY
        else:
            yield damage.strange_npz(arrays, metadata, random) + (NEVER,)


@contextlib.contextmanager
def _stopped_before_theano():
    """Context manager in which a command line ends with status 0 where it would configure Theano."""
    def stop(*_):
        raise SystemExit(0)

    with mock.patch.object(train_and_evaluate, "configure_theano", stop), \
            mock.patch.object(cli, "configure_theano", stop):
        yield


# -- files of the project ----------------------------------------------------------------------------------------------

def models(world, random):
    """Compressed models that are damaged or crafted, read by the predictor."""
    def predict(path, is_text):
        arguments = [["A good film about a dog"], ["--sample", "20", "--seed", "3"]][not is_text]
        predict_program.main([path] + arguments)
        model = predictor.load_model(path)
        values = model.predict(["A good film"]) if is_text else np.array(model.cross_entropy("the dog\n"))
        if not np.isfinite(values).all():
            raise AssertionError("not finite: %s" % values)
        return repr(values.tolist())

    paths = {program: os.path.join(world.run(program), "compressed.npz") for program in ("IMDB", "Word_PTB")}
    model, paths["IMDB, smaller"] = predictor.load_model(paths["IMDB"]), os.path.join(world.folder, "smaller.npz")
    save_model(paths["IMDB, smaller"], model.arrays, model.metadata, "int8", "fingerprints")
    sources = {}
    for name, path in paths.items():
        with contextlib.redirect_stdout(io.StringIO()):
            sources[name] = _npz_cases(world, random, path), predict(path, name != "Word_PTB")
    while True:
        name = random.choice(sorted(sources))
        cases, expected = sources[name]
        title, content, may = next(cases)
        yield Case("%s compressed.npz: %s" % (name, title),
                   lambda folder, content=content, name=name: predict(
                       write(os.path.join(folder, "compressed.npz"), content), name != "Word_PTB"), may, expected)


def checkpoints(world, random):
    """Checkpoints that are damaged, crafted or of another model: evaluated, compressed, resumed, fine-tuned."""
    def evaluate(program, run, name):
        world.main(program, ["--eval-only", os.path.join(run, name)])

    def resume(program, run, name):
        out = world.experiment(program).dialect.out
        more = ["--resume-from", os.path.join(run, name)] if name != "last.npz" else \
            [world.experiment(program).dialect.resume]
        arguments = world.arguments(program, run, *more, epochs=PROGRAMS[program]["epochs"] + 1)
        assert out in arguments
        world.main(program, arguments)

    programs = [program for program in world.programs if program != "Char_PTB"]
    sources = {(program, name): _npz_cases(world, random, os.path.join(world.run(program), name))
               for program in programs for name in ("last.npz", "best.npz")}
    others = {program: _content(os.path.join(world.run(program), "last.npz")) for program in programs}
    while True:
        program, name = random.choice(sorted(sources))
        reads = random.choice([evaluate, resume] if program in running.CONFIGS else [resume])
        config = None
        if random.random() < 0.1 and program in running.CONFIGS:
            reads, name, config = evaluate, "last.npz", _another_config(program, random)
            title, content, may = "in a run of %s" % config, others[program], NEVER
        elif random.random() < 0.1:
            other = random.choice(sorted(set(programs) - {program}))
            title, content, may = "of %s" % other, others[other], NEVER
        else:
            title, content, may = next(sources[program, name])

        def action(folder, program=program, name=name, reads=reads, content=content, config=config):
            run = world.copied_run(program, folder)
            write(os.path.join(run, name), content)
            if config is not None:
                text = running.read_text(os.path.join(run, "config.json"))
                write(os.path.join(run, "config.json"), text.replace(
                    '"%s"' % running.CONFIGS[program], '"%s"' % config).encode("utf-8"))
            reads(program, run, name)
        # A resumed run prints times, so only its acceptance is judged; the store itself notices all changed bytes.
        may = ANY if may == SAME else may
        if may == NEVER and title.startswith(TRAINING_STATE) and (reads is evaluate or name == "best.npz"):
            may = ANY           # nothing reads the training state; without it, best.npz has the parameters only
        yield Case("%s %s, %s: %s" % (program, name, reads.__name__, title), action, may)


def _another_config(program, random):
    """Return a valid CONFIG that a program does not have."""
    network = NETWORKS["text" if program == "IMDB" else "words"]
    while True:
        text = "".join(random.choice("LDCNIR") for _ in running.CONFIGS[program])
        with contextlib.suppress(ReportedError):
            if parse_config(text, network).text != running.CONFIGS[program]:
                return text


def configs(world, random):
    """Invalid ``config.json``: evaluated, compressed, resumed."""
    def action(folder, program, text, reads):
        run = world.copied_run(program, folder)
        write(os.path.join(run, "config.json"), text)
        experiment = world.experiment(program)
        with _stopped_before_theano():
            if reads == "evaluate":
                cli.main(experiment, ["--eval-only", run])
            elif reads == "compress":
                cli.run_compressed(experiment, [run])
            else:
                cli.main(experiment, [str(argument) for argument in world.arguments(
                    program, run, experiment.dialect.resume)])

    def nothing_outside(folder):
        found = set(os.listdir(folder)) - {"run", ".case-result", ".case-stdout", ".case-stderr"}
        return "wrote %s outside the run" % sorted(found) if found else None

    programs = [program for program in world.programs if program != "Char_PTB"]
    while True:
        program = random.choice(programs)
        valid = _content(os.path.join(world.run(program), "config.json"))
        reads = random.choice(["evaluate", "compress", "resume"] if program in running.CONFIGS else ["resume"])
        kind = random.choice(["value"] * 6 + ["bytes", "other", "foreign"])
        if kind == "value":
            title, changed = damage.changed_metadata(json.loads(valid.decode("utf-8")), random)
            text = json.dumps(changed).encode("utf-8", "surrogatepass")
        elif kind == "bytes":
            title, text = damage.damaged_text(valid, random)
        elif kind == "other":
            title, text = "of another run", _content(os.path.join(
                world.run(random.choice([other for other in programs if other != program])), "config.json"))
        else:
            changed = dict(json.loads(valid.decode("utf-8")), demo=True)
            changed["settings" if "data" in changed["settings"] else "x"] = dict(changed["settings"])
            changed.pop("x", None)
            title, text, reads = "a demonstration of elsewhere", json.dumps(changed).replace(
                world.data(program), "/nowhere/else").encode("utf-8"), reads if reads != "resume" else "compress"
            if program not in running.CONFIGS:
                continue
        yield Case("%s config.json, %s: %s" % (program, reads, title),
                   lambda folder, program=program, text=text, reads=reads: action(folder, program, text, reads),
                   NEVER if kind in ("other", "foreign") else ANY, None, nothing_outside)


def prepared(world, random):
    """Damaged prepared data and vocabularies, as training reads them."""
    def load(program, folder):
        experiment = world.experiment(program)
        if program in running.CONFIGS:
            settings = running.tiny_settings(program, folder)
        else:
            settings = experiment.make_settings(data=folder)
        data = experiment.load_data(settings)
        train_and_evaluate.refuse_too_large(settings, data)
        return digest_of_data(data)

    def command(program, folder):
        with cli.reported_errors():
            return load(program, folder)

    sources = {}
    for program in PREPARED:
        folder = world.data(program)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".npz"):
                sources[program, name] = _npz_cases(world, random, os.path.join(folder, name))
    while True:
        program, name = random.choice(sorted(sources))
        if random.random() < 0.2:
            name = VOCABULARY_FILE
            title, content = damage.damaged_text(_content(os.path.join(world.data(program), name)), random)
            may = SAME
        else:
            title, content, may = next(sources[program, name])

        def action(folder, program=program, name=name, content=content):
            path = shutil.copytree(world.data(program), os.path.join(folder, "data"))
            write(os.path.join(path, name), content)
            return command(program, path)
        yield Case("%s prepared %s: %s" % (program, name, title), action, may, load(program, world.data(program)))


# -- raw files ---------------------------------------------------------------------------------------------------------

def archives(world, random):
    """Archives of raw corpora that are damaged, crafted, or expand too much, read by ``prepare_data.py``."""
    def nothing_escaped(folder):
        for path in ("/tmp/escaped-by-archive.txt", os.path.join(folder, "escaped.txt"),
                     os.path.join(os.path.dirname(folder), "escaped.txt")):
            if os.path.exists(path):
                return "wrote %s" % path
        return None

    experiments = ("IMDB", "AGNews", "Word_PTB", "language_modeling", "sequence_labeling")
    while True:
        experiment = random.choice(experiments)
        files = world.raw(experiment)
        may = SAME
        title, content, same = damage.strange_archive(files, random)
        if not same:            # Word_PTB also reads plain text
            may = ANY if (experiment, title) == ("Word_PTB", "not an archive") else NEVER
        if random.random() < 0.5:
            while "bomb" in title or not same:
                title, content, same = damage.strange_archive(files, random)
            more, content = damage.damaged(content, random)
            # A .tar without compression has checksums of its headers only.
            title, may = "%s, %s" % (title, more), SAME if content[257:262] != b"ustar" else ANY
        yield Case("%s archive: %s" % (experiment, title),
                   lambda folder, experiment=experiment, content=content: world.prepare(
                       experiment, write(os.path.join(folder, "archive"), content), folder),
                   may, world.prepared_digest(experiment), nothing_escaped)


def texts(world, random):
    """Raw texts, csv and CoNLL files with something unusual, read by ``prepare_data.py``."""
    def nothing_half_written(folder):
        names = set(os.listdir(folder)) - {"raw", "prepared", ".case-result", ".case-stdout", ".case-stderr"}
        return "left %s" % sorted(names) if names else None

    experiments = ("IMDB", "AGNews", "Word_PTB", "Char_PTB", "language_modeling", "sequence_labeling")
    while True:
        experiment = random.choice(experiments)
        files = dict(world.raw(experiment))
        name = random.choice(sorted(files))
        title, files[name] = damage.damaged_text(files[name], random)
        # Without digests, another text is another corpus.
        may = SAME if title == "byte order mark" else ANY
        yield Case("%s %s: %s" % (experiment, name, title),
                   lambda folder, experiment=experiment, files=files: world.prepare(
                       experiment, write_files(os.path.join(folder, "raw"), files), folder),
                   may, world.prepared_digest(experiment), nothing_half_written)


def vectors(world, random):
    """Files of word vectors, as text and binary, that are damaged or have something unusual."""
    words, numbers = ["the", "dog", "caf\u00e9"], np.arange(12, dtype="<f4").reshape(3, 4)
    text = "".join("%s %s\n" % (word, " ".join("%g" % number for number in row)) for word, row in zip(words, numbers))
    binary = b"3 4\n" + b"".join(word.encode("utf-8") + b" " + row.tobytes() + b"\n"
                                 for word, row in zip(words, numbers))
    sources = {"v.txt": text.encode("utf-8"), "v.bin": binary, "v.vec": b"3 4\n" + text.encode("utf-8")}

    def read(path):
        with cli.reported_errors():
            rows, found = word_vectors.read_vectors(path, words, 4)
            assert np.isfinite(found).all() and found.shape == (len(rows), 4)
            return repr((rows.tolist(), found.tolist()))

    expected = repr(([0, 1, 2], numbers.tolist()))
    while True:
        name = random.choice(sorted(sources))
        kind, may = random.choice(3 * ["text", "bytes", "compressed"] + ["bomb"]), ANY
        content = sources[name]
        if kind == "text":
            title, content = damage.damaged_text(content, random, " ")
            may = SAME if title == "byte order mark" and name != "v.bin" else ANY
        elif kind == "bytes":
            title, content = damage.damaged(content, random)
        elif kind == "compressed":
            title, content = damage.damaged(damage.gzip.compress(content, mtime=0), random)
            name, may = name + ".gz", SAME
        else:
            title, name, may = "a bomb", "v.zip", NEVER
            content = damage.zeros_member(b"PK\x05\x06" + bytes(18), "x.4d.txt", damage.BOMB)
        yield Case("vectors %s: %s" % (name, title), lambda folder, name=name, content=content: read(
            write(os.path.join(folder, name), content)), may, expected)


# -- command lines -----------------------------------------------------------------------------------------------------

#: Texts that no option, or few, must accept.
STRANGE = (
    "", " ", "x", "-1", "0", "-0", "1", "2", "1.5", "1e3", "1e-320", "1e308", "1e309", "-1e309", "nan", "inf", "-inf",
    "NaN", "None", "none", "true", "0x10", "1_000", "\u0663", "\uff11", "1\n2", " 3", "3 ", "9223372036854775807",
    "9223372036854775808", "1000000000000", "1000000", damage.HUGE_INTEGER, "-" + damage.HUGE_INTEGER,
    "0." + damage.HUGE_INTEGER, damage.HUGE_INTEGER + ".5", "x" * 5000, "../x", "/", "/dev/null", "LLLCCL", "LLLLLLL",
    "llcccl", "LCIL", "\udcff", "a=b", "0:1,10:8", "10:1,0:1", "0:nan", "0:" + damage.HUGE_INTEGER)


def settings(world, random):
    """Invalid options and settings on all command lines, up to the point where Theano would be configured."""
    def action(folder, run, arguments):
        os.chdir(folder)
        with _stopped_before_theano():
            run(arguments)

    def train(program):
        return lambda arguments: cli.main(world.experiment(program), arguments)

    def script(program, name):
        module = running.load_script(program, name)
        return {"finetune.py": lambda arguments: cli.fine_tune(module.FINE_TUNING, world.experiment(program),
                                                               arguments),
                "main_overfit.py": lambda arguments: cli.main(module.RECITING, arguments)}[name]

    def option(program, valid):
        """Return arguments with one that is wrong."""
        experiment = world.experiment(program)
        setting, value = random.choice(experiment.settings), random.choice(STRANGE)
        if program in running.CONFIGS and random.random() < 0.6:
            return valid + ["--set", "%s=%s" % (setting.name, value)]
        return valid + random.choice([
            ["--" + setting.name.replace("_", "-"), value], ["--" + setting.name, value], ["--epochs", value],
            ["--seed", value], ["--device", value], ["--resume-from", value], ["--set", value], ["--" + value], [value],
            ["--eval-only", value], [experiment.dialect.out, value], [experiment.dialect.data_option, value],
            ["--recipe", value], ["--vectors", value], ["--vectors-norm", value], [experiment.dialect.resume]])

    def predict(arguments):
        predict_program.main(arguments)

    model = {program: os.path.join(world.run(program), "compressed.npz") for program in ("IMDB", "Word_PTB")}
    programs = sorted(world.programs) + ["predictor", "run_compressed", "prepare"]
    programs += ["finetune", "overfit"] if "language_modeling" in programs else []
    while True:
        program = random.choice(programs)
        value = random.choice(STRANGE)
        if program == "predictor":
            arguments = [model[random.choice(sorted(model))]] + random.choice([
                ["--sample", value], ["--sample", "3", "--seed", value], ["--sample", "3", "--temperature", value],
                [value], ["x", "--" + value], ["--sample", "5", value]])
            if "1000000" in value and "--sample" in arguments[:2]:
                continue        # a valid request for many tokens
            run = predict
        elif program == "run_compressed":
            arguments, run = random.choice([[value], [world.run("IMDB"), "--checkpoint", value], [
                world.run("IMDB"), "--data-dir", value]]), lambda arguments: cli.run_compressed(
                    world.experiment("IMDB"), arguments)
        elif program == "prepare":
            experiment = random.choice(["IMDB", "AGNews", "Word_PTB", "language_modeling", "sequence_labeling"])
            arguments = random.choice([["--source", value], ["--dimensions", value], ["--archive-limit", value], [
                "--holdout", value], ["--corpus", value], ["--data-dir", value], ["--" + value]])

            def run(arguments, experiment=experiment):
                world.prepare(experiment, "missing", ".", *arguments)
        elif program == "finetune":
            fine_tune, experiment = script("language_modeling", "finetune.py"), "language_modeling"
            arguments = option(experiment, ["--save", "run"])
            world.run(experiment)                       # trained here, because the process of a case is forked

            def run(arguments, fine_tune=fine_tune, experiment=experiment):
                world.copied_run(experiment, ".")
                fine_tune(arguments)
        elif program == "overfit":
            run, experiment = script("language_modeling", "main_overfit.py"), "language_modeling"
            arguments = option(experiment, ["--data", world.data(experiment), "--save", "run"])
        else:
            run, arguments = train(program), option(program, world.arguments(program, "run"))
        yield Case("%s %s" % (program, " ".join("%.40r" % argument for argument in arguments[-3:])),
                   lambda folder, run=run, arguments=arguments: action(folder, run, arguments), ANY)


#: Values that settings accept and that nobody needs.
EXTREME = ("1", "2", "3", "1e-320", "1e-300", "1e300", "1.7e308", "0.999999", "0.000001", "9223372036854775807",
           "4294967295", "4294967296", "0", "100", "0:1e300", "0:1e-300,1:1e300", "0:1,1e300:2")


def extremes(world, random):
    """Settings with extreme values that are accepted: trained for an epoch by functions that are compiled for them."""
    while True:
        program = random.choice(sorted(world.programs))
        experiment = world.experiment(program)
        world.data(program)
        names = [setting.name for setting in experiment.settings if setting.name not in (
            "epochs", "data", "data_dir", "save", "config", "corpus", "vectors", "recipe", "tensorboard")]
        name, value = random.choice(names), random.choice(EXTREME)
        try:
            experiment.setting(name).read(value)
        except ReportedError:
            continue
        more = ["--set", "%s=%s" % (name, value)] if experiment.setting(name) in experiment.assignable_settings() \
            and program in running.CONFIGS else ["--" + name, value]
        yield Case("%s %s" % (program, " ".join(more)), lambda folder, program=program, more=more: cli.main(
            world.experiment(program), [str(argument) for argument in world.arguments(
                program, os.path.join(folder, "run"), *more, epochs=1)]), ANY, longest=300)


#: The classes by name; the interruptions take seconds each.
INTERRUPTIONS = collections.OrderedDict((function.__name__, function) for function in (
    interruptions.signals, interruptions.full_disk, interruptions.forbidden, interruptions.pipes,
    interruptions.two_processes))
CLASSES = collections.OrderedDict((function.__name__, function) for function in (
    models, checkpoints, configs, prepared, archives, texts, vectors, settings))
CLASSES.update(INTERRUPTIONS)
#: Classes that are tried only if they are named: each case compiles.
OPTIONAL = {"extremes": extremes}
