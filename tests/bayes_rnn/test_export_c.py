"""Compressed models as C code: predictions equal to NumPy's, valid C99, sanitizers, random bytes, the command line."""

import ctypes
import os
import shutil
import subprocess
import sys
from unittest import mock

from theano_rnn.errors import ReportedError
from theano_rnn.tokens import character_tokens, tokenize, word_tokens

import numpy as np
import pytest
from helpers.compressed_models import (
    CLASSIFIERS,
    LANGUAGE_MODELS,
    MODELS,
    NEWS_WORDS,
    PIECES,
    VOCABULARY,
    texts,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_rnn.c_compiler import build, file_digest
from bayes_rnn.c_library import load_library
from bayes_rnn.export import main as export
from bayes_rnn.export import save_model
from bayes_rnn.export_c import c_files, identifier
from bayes_rnn.predictor import load_model

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
COMPILER = shutil.which(os.environ.get("CC", "cc"))
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]

pytestmark = pytest.mark.skipif(not COMPILER, reason="no C compiler")
examples = settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the models and their C code."""
    folder = tmp_path_factory.mktemp("exported")
    for name, model in MODELS.items():
        model, path = model(), str(folder / (name + ".npz"))
        save_model(path, model.arrays, model.metadata)
        for extension, code in zip((".c", ".h"), c_files(model, name, identifier(name), file_digest(path))):
            (folder / (name + extension)).write_text(code, encoding="ascii")
    return str(folder)


def sources(folder, names=tuple(MODELS)):
    return [os.path.join(folder, name + ".c") for name in names]


@pytest.fixture(scope="module")
def library(folder):
    """One library with all models; the one of "news" also has the function of exported_words.c."""
    library = os.path.join(folder, "all.so")
    subprocess.check_call([COMPILER] + WARNINGS + [
        "-O2", "-fPIC", "-shared", "-o", library, '-DEXPORTED="%s"' % os.path.join(folder, "news.c"),
        os.path.join(HERE, "exported_words.c")] + sources(folder, sorted(set(MODELS) - {"news"})) + ["-lm"])
    return library


@pytest.fixture(scope="module")
def models(folder, library):
    """Both implementations of each model: dict of str to (with C, with NumPy)."""
    found = {}
    for name in MODELS:
        path = os.path.join(folder, name + ".npz")
        shutil.copy(library, os.path.join(folder, name + ".so"))
        found[name] = load_model(path, "c"), load_model(path, "numpy")
    return found


random_bytes = st.one_of(st.binary(), st.lists(st.one_of(
    st.sampled_from([piece.encode("utf-8", "surrogatepass") for piece in PIECES]), st.binary(max_size=4)),
    max_size=30).map(b"".join))


# -- the same as NumPy -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", CLASSIFIERS)
def test_probabilities(models, name):
    with_c, with_numpy = models[name]

    @examples
    @given(st.lists(texts, max_size=4))
    def check(texts):
        got = with_c.predict(texts)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, with_numpy.predict(texts), rtol=0, atol=1e-5)
    check()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_probabilities_of_random_bytes(models, library, name):
    _, with_numpy = models[name]
    predict = getattr(ctypes.CDLL(library), name + "_predict")

    @examples
    @given(random_bytes)
    def check(data):
        expected = with_numpy.predict([data.decode("utf-8", "replace")])[0]
        got = (ctypes.c_float * len(expected))()
        best = predict(data, ctypes.c_size_t(len(data)), got)
        np.testing.assert_allclose(list(got), expected, rtol=0, atol=1e-5)
        assert got[best] == max(got)
    check()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_many_texts_at_once(models, name):
    """C computes 24 texts at once, of different lengths; a text that ends makes room for the next one."""
    with_c, with_numpy = models[name]
    rng = np.random.RandomState(0)
    many = ["".join(rng.choice(PIECES[:-1], rng.randint(60))) for _ in range(120)] + ["", "good " * 500]
    for count in (0, 1, 23, 24, 25, len(many)):
        np.testing.assert_allclose(with_c.predict(many[:count]), with_numpy.predict(many[:count]), rtol=0, atol=1e-5)


def test_many_texts_in_several_threads(models):
    with_c, with_numpy = models["news"]
    texts = ["good bad " * (k % 17) + NEWS_WORDS[k] for k in range(1000)]
    np.testing.assert_allclose(with_c.predict(texts), with_numpy.predict(texts), rtol=0, atol=1e-5)


def test_words_of_all_characters(library):
    """Compare the tokenizers with each character alone, between letters, and beside a capital sigma."""
    index = {word: index for index, word in enumerate(NEWS_WORDS + ["</s>", "bad"]) if tokenize(word) == [word]}
    read = ctypes.CDLL(library).words_of_text
    read.restype = ctypes.c_size_t
    # Above U+1FFFF are ideographs, tags, variation selectors, and code points without a character.
    characters = [chr(code) for code in range(0x20000)] + [chr(code) for code in range(0x20000, 0x110000, 61)]
    for pattern in ("%s ", "x%sgood ", u"\u03b1%s\u03a3 ", u"\u03b1\u03a3%s\u03b1 "):
        text = "".join(map(pattern.__mod__, characters))
        expected = [index.get(word, -1) for word in tokenize(text.lower())]
        data = text.encode("utf-8", "surrogatepass")
        got = np.empty(len(data), dtype=np.int32)
        count = read(data, ctypes.c_size_t(len(data)), got.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(got)))
        np.testing.assert_array_equal(got[:count], expected)


def outcome(function):
    try:
        return function()
    except ReportedError as error:
        return str(error)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_cross_entropy(models, name):
    with_c, with_numpy = models[name]

    @examples
    @given(texts, st.one_of(st.none(), texts))
    def check(text, context):
        got = outcome(lambda: with_c.cross_entropy(text, context))
        expected = outcome(lambda: with_numpy.cross_entropy(text, context))
        if isinstance(expected, str):
            assert got == expected
        else:
            assert got[1] == expected[1]
            np.testing.assert_allclose(got[0], expected[0], rtol=0, atol=1e-5)
    check()


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_cross_entropy_of_random_bytes(models, name):
    with_c, with_numpy = models[name]

    @examples
    @given(random_bytes)
    def check(data):
        text = data.decode("utf-8", "replace")
        split = character_tokens if name == "characters" else word_tokens
        known, count = set(with_numpy.metadata["vocabulary"]), len(split(text))
        got = with_c.compiled.cross_entropy(data)
        if "<unk>" not in known and not known.issuperset(split(text)):
            assert got is None
        elif count < 2:
            assert got == (0, 0)
        else:
            nats, predicted = with_numpy.cross_entropy(text)
            assert got[1] == predicted == count - 1
            np.testing.assert_allclose(got[0] / predicted, nats, rtol=0, atol=1e-5)
    check()


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_samples(models, name):
    with_c, with_numpy = models[name]
    prompts = {"characters": ["b a\n", "\xe9_"], "strict": []}.get(name, ["cat bird", "sat\n\ncat\n"])
    for seed, prompt in enumerate([None, "", " "] + prompts):
        for temperature in (0.7, 1.0):
            assert with_c.sample(30, seed, prompt, temperature) == with_numpy.sample(30, seed, prompt, temperature)


class State(ctypes.Structure):
    """State of the model "words" in C."""

    _fields_ = [("h", ctypes.c_float * 5), ("c", ctypes.c_float * 5), ("scores", ctypes.c_float * len(VOCABULARY)),
                ("count", ctypes.c_size_t)]


def test_functions_of_a_language_model_in_c(models, library):
    """The state continues a text: a score by parts, a prompt that ends within a line, and the samples after it."""
    _, with_numpy = models["words"]
    c, state, nats, count = ctypes.CDLL(library), State(), ctypes.c_double(), ctypes.c_size_t()
    c.words_token.restype = ctypes.c_char_p
    total = 0
    c.words_start(ctypes.byref(state))
    for part in (b"cat sat\n", b"dog\n", b"", b"sat cat"):
        assert c.words_score(ctypes.byref(state), part, ctypes.c_size_t(len(part)), ctypes.byref(nats),
                             ctypes.byref(count)) == 0
        total += nats.value
    expected, predicted = with_numpy.cross_entropy("cat sat\ndog\nsat cat")
    assert state.count == predicted + 1
    np.testing.assert_allclose(total / predicted, expected, atol=1e-5)

    c.words_start(ctypes.byref(state))
    assert c.words_read(ctypes.byref(state), b"sat\n\ndog cat\n", ctypes.c_size_t(13)) == 0
    h, _ = with_numpy.final_state(with_numpy.rows(["sat", "<eos>", "<eos>", "dog", "cat"])[None])
    np.testing.assert_allclose(list(state.h), h[0], atol=1e-6)
    log_probabilities = (ctypes.c_float * len(VOCABULARY))()
    c.words_log_probabilities(ctypes.byref(state), log_probabilities)
    scores = with_numpy.scores(h)[0]
    np.testing.assert_allclose(list(log_probabilities), scores - np.log(np.exp(scores).sum()), atol=1e-5)
    drawn = []
    random = np.random.RandomState(3)
    for _ in range(8):
        drawn.append(c.words_sample(ctypes.byref(state), ctypes.c_double(random.rand()), ctypes.c_double(1)))
    text = " ".join(["sat \n \n dog cat"] + [c.words_token(token).decode("utf-8") for token in drawn])
    assert text.split() == with_numpy.sample(8, 3, "sat\n\ndog cat\n").split()
    assert c.words_token(0) == b"\n" and c.characters_token(2) and c.words_token(len(VOCABULARY)) is None
    assert c.words_sample(ctypes.byref(state), ctypes.c_double(1 - 1e-16), ctypes.c_double(1)) == len(VOCABULARY) - 1
    before = list(state.h)
    for token in (-1, len(VOCABULARY)):                  # of no effect
        c.words_advance(ctypes.byref(state), token)
    assert list(state.h) == before


def test_names_of_classes(library):
    name = ctypes.CDLL(library).news_class_name
    name.restype = ctypes.c_char_p
    assert [name(k) and name(k).decode("utf-8") for k in range(-1, 5)] == [
        None, '"W\xf6rld"', "???/\\", "Business", "Sci", None]


def test_names_of_classes_that_look_like_names_of_the_code():
    model = MODELS["reviews"]()
    model.metadata["classes"] = ["model_a", "MODEL_LENGTH"]
    source, header = c_files(model, "50% model_", "mine", "0")
    assert '"model_a", "MODEL_LENGTH"' in source and '#include "50% model_.h"\n' in source
    assert "model_predict" not in source + header and "int mine_predict(" in header


# -- C -----------------------------------------------------------------------------------------------------------------

def test_no_allocation_and_no_variables(folder, library):
    """Only these functions are needed from elsewhere, and all data are constant."""
    for path in sources(folder):
        with open(path) as stream:
            code = stream.read()
        assert not [line for line in code.splitlines() if line.startswith("static") and line.endswith(("{", ";"))
                    and "(" not in line and not line.startswith("static const")]
        assert set(line.split()[1] for line in code.splitlines() if line.startswith("#include")) == {
            "<math.h>", "<stdint.h>", "<string.h>", '"%s.h"' % os.path.basename(path)[:-2]}
        assert "alloc" not in code.replace("none allocates", "")


def compiles(compiler, folder, flags):
    for path in sources(folder):
        subprocess.check_call([compiler] + WARNINGS + flags + ["-c", "-o", os.devnull, path])


def test_clang(folder):
    if not shutil.which("clang"):
        pytest.skip("clang is not installed")
    compiles("clang", folder, ["-fsyntax-only"])


def test_cpp_can_use_the_header(folder):
    code = "".join('#include "%s.h"\n' % name for name in sorted(MODELS))
    process = subprocess.Popen([COMPILER, "-x", "c++", "-fsyntax-only", "-Wall", "-Werror", "-I", folder, "-"],
                               stdin=subprocess.PIPE)
    process.communicate(code.encode("ascii"))
    assert process.returncode == 0


def test_cortex_m(folder):
    compiler = "arm-none-eabi-gcc"
    if not shutil.which(compiler):
        pytest.skip("%s is not installed" % compiler)
    if subprocess.call([compiler, "-include", "math.h", "-fsyntax-only", "-x", "c", os.devnull],
                       stderr=subprocess.DEVNULL):
        pytest.skip("the C library of %s is not installed" % compiler)
    target = ["-mcpu=cortex-m4", "-mthumb", "-Os"]
    compiles(compiler, folder, target + ["-fsyntax-only"])
    subject = os.path.join(folder, "reviews.o")
    subprocess.check_call([compiler] + WARNINGS + target + ["-c", "-o", subject, os.path.join(folder, "reviews.c")])
    sizes = subprocess.check_output(["arm-none-eabi-size", subject]).decode("ascii").splitlines()[1].split()
    assert int(sizes[0]) < 16384 and sizes[1:3] == ["0", "0"]


def test_random_bytes_with_sanitizers(folder):
    program = os.path.join(folder, "fuzz")
    compile_program = [COMPILER] + WARNINGS + ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I",
                                               folder, "-o", program]
    probe = subprocess.Popen(compile_program + ["-x", "c", "-"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    probe.communicate(b"int main(void) { return 0; }\n")
    if probe.returncode:
        pytest.skip("%s has no address sanitizer" % COMPILER)
    names = ["reviews", "news", "wide", "inputs", "fingerprints", "characters", "words", "many_gates"]
    subprocess.check_call(compile_program + [os.path.join(HERE, "fuzz_exported.c")] + sources(folder, names) + ["-lm"])
    assert subprocess.check_output([program, "1", "5000"]) == b"5000 calls\n"


# -- the library and the command line ----------------------------------------------------------------------------------

def run(*arguments, **options):
    process = subprocess.Popen([sys.executable, "-m"] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               cwd=ROOT, env=dict(os.environ, PYTHONIOENCODING="utf-8", **options))
    out, err = process.communicate()
    return process.returncode, out.decode("utf-8"), err.decode("utf-8")


@pytest.fixture(scope="module", autouse=True)
def list_of_libraries(tmp_path_factory):
    """The user's list of compiled libraries, in a folder of the tests."""
    with mock.patch.dict(os.environ, XDG_CACHE_HOME=str(tmp_path_factory.mktemp("cache"))):
        yield


@pytest.fixture
def exported(tmp_path, folder):
    path = str(tmp_path / "Model-1.npz")
    shutil.copy(os.path.join(folder, "reviews.npz"), path)
    return path


def test_command_line_exports_and_the_predictor_uses_it(exported, without_theano):
    """Theano is not imported."""
    base = exported[:-len(".npz")]
    status, out, err = run("bayes_rnn.export", exported, "--to", "c", "--build", PYTHONPATH=without_theano)
    assert (status, err) == (0, "")
    assert out == "".join("%s: %d bytes\n" % (base + extension, os.path.getsize(base + extension))
                          for extension in (".c", ".h", ".so"))
    with open(base + ".h") as header:
        assert "int model_1_predict(const char *text, size_t size, float *probabilities);\n" in header.read()
    by_numpy = load_model(exported, "numpy")
    assert by_numpy.compiled is None and load_model(exported).compiled is not None
    assert run("bayes_rnn.predictor", exported, "a good film", PYTHONPATH=without_theano) == (
        0, by_numpy.describe("a good film") + "\n", "")


def test_a_model_that_is_exported_again_gets_the_new_library(models, tmp_path):
    path, texts = str(tmp_path / "m\xe8me.npz"), ["a good film"]
    for factor in (1, -1):
        model = models["reviews"][1]
        model = type(model)(dict(model.arrays, W_out=factor * model.arrays["W_out"]), model.metadata)
        save_model(path, model.arrays, model.metadata)
        export([path, "--to", "c", "--build"])
        compiled = load_model(path, "c")
        np.testing.assert_allclose(compiled.predict(texts), model.predict(texts), rtol=0, atol=1e-5)


def test_a_library_of_another_model_is_not_used(folder, models, tmp_path):
    path, library = str(tmp_path / "reviews.npz"), str(tmp_path / "reviews.so")
    how = "; python -m bayes_rnn.export %s --to c --build creates it" % path
    shutil.copy(os.path.join(folder, "reviews.npz"), path)
    assert load_model(path).compiled is None
    assert outcome(lambda: load_model(path, "c")) == "compiled model not found: %s%s" % (library, how)
    shutil.copy(os.path.join(folder, "reviews.so"), library)
    # The library came with the model: only a request loads it.
    assert load_model(path).compiled is None and load_model(path, "c").compiled is not None
    model = models["reviews"][1]
    save_model(path, model.arrays, dict(model.metadata, dataset="another"))
    assert load_model(path).compiled is None
    assert outcome(lambda: load_model(path, "c")) == "%s was built from another model than %s%s" % (library, path, how)
    other = str(tmp_path / "other")
    with open(other + ".so", "w") as stream:
        stream.write("no library")
    assert outcome(lambda: load_library(other + ".npz", model)).startswith("%s.so cannot be loaded (" % other)


def test_command_line_errors(exported, tmp_path):
    missing = str(tmp_path / "no" / "name")
    for arguments, message in (
            ([exported], "the following arguments are required: --to; see --help"),
            ([exported, "--to", "c", "--out", missing], "--out must be a name in an existing folder, got " + missing),
            ([missing, "--to", "c"], "compressed model not found: " + missing)):
        assert run("bayes_rnn.export", *arguments) == (2, "", "error: %s\n" % message)
    (tmp_path / "folder.c").mkdir()
    for name, message in (("folder", "the export cannot be written: %s (Is a directory); choose another name with --out"
                           % (tmp_path / "folder.c")),
                          ('a"b', "the name of the files must be without quotes, backslashes and line ends, got "
                                  "'a\"b'; choose another one with --out")):
        assert run("bayes_rnn.export", exported, "--to", "c", "--out", str(tmp_path / name)) == (
            2, "", "error: %s\n" % message)
    status, _, err = run("bayes_rnn.export", exported, "--to", "c", "--build", CC="no-compiler")
    assert status == 2 and err.startswith("error: the C compiler no-compiler cannot be started (")


def test_compiler_errors_are_reported(tmp_path):
    source = tmp_path / "model.c"
    source.write_text("no C code\n")
    assert outcome(lambda: build(str(source))).startswith("the C compiler failed: ")


def test_weights_must_be_finite():
    model = MODELS["reviews"]()
    model.arrays["b"][0] = np.nan
    assert outcome(lambda: c_files(model, "m", "m", "")) == (
        "the model cannot be exported: b contains a value that is not finite")


def test_identifiers():
    assert [identifier(name) for name in ("Model-1", "7", "__", "a.b")] == ["model_1", "model_7", "model", "a_b"]
