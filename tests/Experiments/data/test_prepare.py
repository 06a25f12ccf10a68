"""The real prepare_data.py scripts, run in processes of their own on tiny data in the real formats."""

import os
import subprocess
import sys
import time
import types

import pytest
from helpers import raw_corpora, running

from Experiments.shared.config import default_data_dir
from Experiments.shared.data import download
from Experiments.shared.data.archives import read_file
from Experiments.shared.data.demo import prepare_demo
from Experiments.shared.data.language_modeling import load_language
from Experiments.shared.data.prepare import find_data_set, main
from Experiments.shared.data.text_classification import TextDataSet, load_text


def sources(kind, folder):
    """Write a tiny source; return its path."""
    if kind == "imdb-folder":
        return raw_corpora.imdb_tree(folder)
    if kind == "imdb-tar.gz":
        return raw_corpora.write_tar(folder / "a.tar.gz", raw_corpora.imdb_tree(folder), "aclImdb", "w:gz")
    if kind == "imdb-zip":
        return raw_corpora.write_zip(folder / "a.zip", raw_corpora.imdb_texts(), "aclImdb/")
    if kind == "ptb-folder":
        return raw_corpora.write_tree(folder / "raw", raw_corpora.ptb_files())
    if kind == "ptb-zip":
        return raw_corpora.write_zip(folder / "p.zip", raw_corpora.ptb_files(), "x/")
    if kind == "wikitext-zip":
        return raw_corpora.write_zip(folder / "w.zip", {"wikitext-2/wiki.%s.tokens" % part: text for part, text
                                                        in raw_corpora.PTB_TEXTS.items()})
    if kind == "agnews-folder":
        return raw_corpora.agnews_folder(folder / "ag")
    return os.path.join(raw_corpora.write_tree(folder / "ag", {"one.csv": raw_corpora.agnews_csv()}), "one.csv")


VECTORS, NO_VECTORS = [], ["--vectors", "none"]


@pytest.mark.parametrize("dataset, kind, options, expected", [
    ("IMDB", "imdb-folder", VECTORS, ["train: 24 documents (12 negative, 12 positive)", "20,000 most frequent words: ",
                                      "vectors-train-300.npz: 22 of 22 words have a vector: word2vec (CBOW, 300 dim"]),
    ("IMDB", "imdb-tar.gz", NO_VECTORS, ["test: 24 documents (12 negative, 12 positive)"]),
    ("IMDB", "imdb-zip", NO_VECTORS, ["vocabulary: 23 entries"]),
    ("AGNews", "agnews-folder", NO_VECTORS,
     ["train: 20 documents (4 world, 8 sports, 4 business, 4 science/technology)"]),
    ("AGNews", "agnews-csv", ["--holdout", "0.25"] + NO_VECTORS, ["train: 15 documents", "test: 5 documents"]),
    ("Char_PTB", "ptb-folder", [], ["train: 1980 characters", "vocabulary: 23 characters"]),
    ("Char_PTB", "ptb-zip", [], ["ptb.char.valid.txt"]),
    ("Word_PTB", "ptb-zip", [], ["train: 600 words", "vocabulary: 14 words"]),
    ("Word_PTB", "wikitext-zip", ["--corpus", "wikitext-2"], ["train: 600 words", "vocabulary: 14 words"]),
])
def test_scripts_prepare_the_same_bytes_whatever_the_hash_seed(tmp_path, dataset, kind, options, expected):
    if options is VECTORS and dataset == "IMDB":
        pytest.importorskip("gensim")
    source = sources(kind, tmp_path)
    folders = [str(tmp_path / "deep" / name) for name in "ab"]
    for folder, seed in zip(folders, ("1", "2")):
        status, output, errors = raw_corpora.run_script(dataset, "--source", source, "--data-dir", folder,
                                                        "--no-checksum", *options, PYTHONHASHSEED=seed)
        assert (status, errors) == (0, "")
        for line in expected:
            assert line in output
        assert "  vocabulary.txt" in output
    assert running.folder_bytes(folders[0]) == running.folder_bytes(folders[1])
    assert sorted(os.listdir(str(tmp_path / "deep"))) == ["a", "b"]
    (load_text if dataset in ("IMDB", "AGNews") else load_language)(folders[0], dataset)


@pytest.mark.parametrize("dataset, kinds", [("IMDB", ["imdb-folder", "imdb-tar.gz", "imdb-zip"]),
                                            ("Word_PTB", ["ptb-folder", "ptb-zip"])])
def test_bytes_do_not_depend_on_the_form_of_the_source(tmp_path, capsys, dataset, kinds):
    contents = []
    for kind in kinds:
        work = tmp_path / kind
        work.mkdir()
        main(find_data_set(dataset), ["--source", sources(kind, work), "--data-dir", str(work / "out"), "--no-checksum"]
             + (NO_VECTORS if dataset == "IMDB" else []))
        contents.append(running.folder_bytes(work / "out"))
    assert all(content == contents[0] for content in contents)


@pytest.mark.parametrize("dataset, kind, message", [
    ("IMDB", "imdb-folder", "lacks file 12_*.txt"), ("Word_PTB", "ptb-zip", "expected md5 f26c4b92"),
    ("AGNews", "agnews-folder", "train.csv of"), ("AGNews", "agnews-csv", "--holdout FRACTION"),
])
def test_errors_are_one_line_and_leave_nothing(tmp_path, capsys, dataset, kind, message):
    with pytest.raises(SystemExit) as leaving:
        main(find_data_set(dataset), ["--source", sources(kind, tmp_path), "--data-dir", str(tmp_path / "out")]
             + (NO_VECTORS if dataset in ("IMDB", "AGNews") else []))
    captured = capsys.readouterr()
    assert leaving.value.code == 2 and captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1 and message in captured.err
    assert not (tmp_path / "out").exists()


def test_script_reports_a_truncated_archive(tmp_path):
    path = sources("imdb-tar.gz", tmp_path)
    with open(path, "rb") as stream:
        content = stream.read()
    with open(path, "wb") as stream:
        stream.write(content[:len(content) // 2])
    status, output, errors = raw_corpora.run_script("IMDB", "--source", path, "--data-dir", tmp_path / "out",
                                                    "--no-checksum", *NO_VECTORS)
    assert (status, output) == (2, "")
    assert errors.startswith("error: archive %s ends early or is damaged" % path) and errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_preparing_again_replaces(tmp_path, capsys):
    source = sources("ptb-folder", tmp_path)
    arguments = ["--source", source, "--data-dir", str(tmp_path / "out"), "--no-checksum"]
    main(find_data_set("Char_PTB"), arguments)
    main(find_data_set("Word_PTB"), arguments)
    assert sorted(os.listdir(str(tmp_path / "out"))) == ["test.npz", "train.npz", "valid.npz", "vocabulary.txt"]


@pytest.mark.parametrize("dataset", ["IMDB", "AGNews", "Char_PTB", "Word_PTB", "Text"])
def test_help_is_instant(dataset):
    begin = time.time()
    status, output, _ = raw_corpora.run_script(dataset, "--help")
    assert status == 0 and ("--no-checksum" in output) == (dataset != "Text")
    assert ("--holdout" in output) == (dataset != "IMDB") and ("--tokenized" in output) == (dataset == "Word_PTB")
    assert time.time() - begin < 5


def test_default_folder_belongs_to_the_experiment():
    assert default_data_dir("IMDB") == os.path.join(raw_corpora.ROOT, "Experiments", "IMDB", "data", "prepared")


def test_without_a_source_it_downloads(tmp_path, capsys, monkeypatch):
    source = sources("ptb-folder", tmp_path)
    monkeypatch.setattr(download, "fetch_all", lambda files, folder: source)
    arguments = ["--data-dir", str(tmp_path / "out"), "--no-checksum"]
    main(find_data_set("Word_PTB"), arguments)
    assert "Word_PTB prepared in %s" % (tmp_path / "out") in capsys.readouterr().out


class Proverbs(TextDataSet):
    """A data set that is defined here only: two lines per class."""

    experiment, class_names, source_help = "Proverbs", ("short", "long"), "a file"

    def read(self, source, options):
        lines = read_file(source).decode("utf-8").splitlines()
        return {"train": (lines, [len(line) > 20 for line in lines]), "test": (lines[:1], [0])}

    def generate(self):
        return {"train": (["a b", "a c"], [0, 1]), "test": (["c"], [1])}


def test_a_new_data_set_is_one_description(tmp_path, capsys, monkeypatch):
    (tmp_path / "p.txt").write_text(u"Haste makes waste\nHaste is never a good adviser\n")
    main(Proverbs(), ["--source", str(tmp_path / "p.txt"), "--data-dir", str(tmp_path / "out")] + NO_VECTORS)
    assert "train: 2 documents (1 short, 1 long), 11 tokens\n" in capsys.readouterr().out
    data = load_text(str(tmp_path / "out"), "Proverbs")
    assert data.vocabulary == ["Haste", "</s>"] and data.classes == 2
    monkeypatch.setitem(sys.modules, "Experiments.Proverbs", types.ModuleType("Experiments.Proverbs"))
    description = types.ModuleType("Experiments.Proverbs.prepare_data")
    description.DATA_SET = Proverbs()
    monkeypatch.setitem(sys.modules, "Experiments.Proverbs.prepare_data", description)
    prepare_demo("Proverbs", str(tmp_path / "demo"))
    assert load_text(str(tmp_path / "demo"), "Proverbs").vocabulary == ["a", "</s>"]


def test_data_modules_do_not_import_theano():
    program = ("import sys; from Experiments.shared.data import demo, minibatches, penn_treebank, tagged_sentences, "
               "text_classification, word_vectors; from Experiments.language_modeling import prepare_data; "
               "[demo.find_data_set(name) for name in ('IMDB', 'AGNews', 'Char_PTB', 'sequence_labeling')]; "
               "sys.exit(any(name.split('.')[0] in ('theano', 'lasagne') for name in sys.modules))")
    assert subprocess.call([sys.executable, "-c", program], cwd=raw_corpora.ROOT) == 0
