"""Corpora of the language models: reading, numbering, the folder, getdata.sh."""

import collections
import os
import shutil
import subprocess

import numpy as np
import pytest
from helpers import raw_corpora

from Experiments.shared.data import corpus, demo, download, getdata
from theano_rnn.errors import ReportedError

TEXTS = {"train": "b a b \n c <unk> \n\n b a", "valid": "a d \n", "test": "d e b \n"}
WITHOUT_UNKNOWN = {"train": "b a b \n c \n", "valid": "e d e \n", "test": "d f \n"}
REAL_DATA = os.environ.get("REAL_DATA", os.path.join(os.path.dirname(raw_corpora.ROOT), "shared", "data"))
SCRIPT = os.path.join(raw_corpora.ROOT, "Experiments", "language_modeling", "getdata.sh")


def write_corpus(folder, texts=TEXTS, form="%s.txt"):
    return raw_corpora.write_tree(folder, {form % part: texts[part] for part in texts})


def getdata_sh(*arguments, **options):
    process = subprocess.Popen([SCRIPT] + [str(argument) for argument in arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, universal_newlines=True, **options)
    output, errors = process.communicate()
    return process.returncode, output, errors


def test_every_line_gives_its_words_and_an_end(tmp_path):
    data = corpus.read_corpus(write_corpus(tmp_path))
    assert [data.vocabulary[token] for token in data.train] == \
        "b a b <eos> c <unk> <eos> <eos> b a <eos>".split()
    assert [part.dtype for part in data[1:]] == [np.int32] * 3


@pytest.mark.parametrize("texts, ordering, expected", [
    (TEXTS, "up", "<unk> c a b <eos>"), (TEXTS, "down", "<eos> b a <unk> c"), (TEXTS, "none", "b a <eos> c <unk>"),
    (WITHOUT_UNKNOWN, "up", "d e f a c <eos> b"), (WITHOUT_UNKNOWN, "down", "<eos> b a c d e f"),
    (WITHOUT_UNKNOWN, "none", "b a <eos> c e d f"),
])
def test_order_of_the_vocabulary(tmp_path, texts, ordering, expected):
    assert corpus.read_corpus(write_corpus(tmp_path, texts), ordering).vocabulary == expected.split()


def test_random_order_depends_on_the_seed_alone():
    words = [str(number) for number in range(50)]
    orders = [corpus.ordered_vocabulary(words, [], "rand", seed) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != words and sorted(orders[0]) == sorted(orders[2]) == sorted(words)


def test_words_that_train_lacks(tmp_path):
    data = corpus.read_corpus(write_corpus(tmp_path / "a"), "down")
    assert [data.vocabulary[token] for token in data.test] == ["<unk>", "<unk>", "b", "<eos>"]
    data = corpus.read_corpus(write_corpus(tmp_path / "b", WITHOUT_UNKNOWN), "down")
    assert [data.vocabulary[token] for token in data.test] == ["d", "f", "<eos>"]


def test_errors_of_reading(tmp_path):
    with pytest.raises(ReportedError, match="no corpus in .*nowhere: run ./getdata.sh .*--demo"):
        corpus.read_corpus(str(tmp_path / "nowhere"))
    folder = write_corpus(tmp_path)
    with pytest.raises(ReportedError, match="the ordering of the vocabulary is 'upp', expected one of up, down, none"):
        corpus.read_corpus(folder, "upp")
    (tmp_path / "valid.txt").write_bytes(b"a b\nc \xff\n")
    with pytest.raises(ReportedError, match="valid.txt, line 2: not valid UTF-8"):
        corpus.read_corpus(folder)
    (tmp_path / "valid.txt").write_bytes(b" \n")
    with pytest.raises(ReportedError, match="valid.txt is empty; expected one sentence a line"):
        corpus.read_corpus(folder)
    (tmp_path / "valid.txt").unlink()
    with pytest.raises(ReportedError, match="has no valid.txt; expected train.txt, valid.txt, test.txt: run ./getdata"):
        corpus.read_corpus(folder)


def test_files_are_written_once_and_replaced_when_damaged(tmp_path):
    folder = str(tmp_path / "deep" / "er")
    contents = {"a.txt": b"1\n", "b.txt": b"2\n"}
    assert not corpus.is_intact(folder) and corpus.folder_source(folder) is None
    assert corpus.write_files(folder, contents, "a test")
    assert corpus.is_intact(folder) and corpus.folder_source(folder) == "a test"
    assert not corpus.write_files(folder, contents, "another test")
    with open(os.path.join(folder, "a.txt"), "w") as stream:
        stream.write("damage")
    assert not corpus.is_intact(folder)
    assert corpus.write_files(folder, contents, "a test")
    assert corpus.write_files(folder, {"a.txt": b"3\n"}, "a test")
    assert sorted(os.listdir(folder)) == [corpus.DIGEST_FILE, "a.txt"]
    assert os.listdir(os.path.dirname(folder)) == ["er"]


def test_files_of_others_are_not_replaced(tmp_path):
    folder = write_corpus(tmp_path / "penn")
    with pytest.raises(ReportedError, match="penn holds test.txt, which was put there by hand"):
        corpus.write_files(folder, {"train.txt": b"x"}, "a test")
    assert corpus.read_corpus(folder).vocabulary
    with pytest.raises(ReportedError, match="train.txt is not a folder"):
        corpus.write_files(os.path.join(folder, "train.txt"), {}, "a test")


def test_failed_replacement_leaves_the_old_files(tmp_path, monkeypatch):
    folder = str(tmp_path / "penn")
    corpus.write_files(folder, {"a.txt": b"old"}, "a test")
    rename = os.rename

    def failing(source, target):
        if source.endswith(".unfinished"):
            raise OSError(28, "No space left on device")
        rename(source, target)
    monkeypatch.setattr(corpus.os, "rename", failing)
    with pytest.raises(ReportedError, match="cannot write .*penn .No space left on device."):
        corpus.write_files(folder, {"a.txt": b"new"}, "a test")
    assert (tmp_path / "penn" / "a.txt").read_bytes() == b"old" and corpus.is_intact(folder)
    assert os.listdir(str(tmp_path)) == ["penn"]


@pytest.mark.parametrize("name, form", [("penn", "ptb.%s.txt"), ("penn", "%s.txt"), ("wikitext-2", "wiki.%s.tokens"),
                                        ("wikitext-2", "%s.txt")])
@pytest.mark.parametrize("archive", [False, True])
def test_local_copies_in_every_form(tmp_path, capsys, name, form, archive):
    files = {form % part: TEXTS[part] for part in TEXTS}
    source = raw_corpora.write_zip(tmp_path / "x.zip", files, "deep/er/") if archive else \
        raw_corpora.write_tree(tmp_path / "raw", files)
    getdata.main([name, "--source", source, "--data-dir", str(tmp_path), "--no-checksum"])
    assert "  train.txt: 11 tokens (with <eos>), sha256 " in capsys.readouterr().out
    assert sorted(os.listdir(str(tmp_path / name))) == ["SHA256SUMS", "test.txt", "train.txt", "valid.txt"]
    assert (tmp_path / name / "train.txt").read_bytes().decode("utf-8") == TEXTS["train"]


def test_getdata_sh_end_to_end(tmp_path):
    source = raw_corpora.write_zip(tmp_path / "wikitext-2-v1.zip", {"wiki.%s.tokens" % part: TEXTS[part] for part in TEXTS},
                            "wikitext-2/")
    arguments = ["wikitext-2", "--source", "wikitext-2-v1.zip", "--data-dir", tmp_path / "data"]
    status, output, errors = getdata_sh(*arguments, cwd=str(tmp_path))
    assert (status, errors) == (0, "") and "wikitext-2 written:" in output
    folder = tmp_path / "data" / "wikitext-2"
    before = raw_corpora.folder_bytes(folder), os.stat(str(folder / "train.txt")).st_mtime
    assert len(corpus.read_corpus(str(folder)).vocabulary) == 5
    os.remove(source)
    status, output, errors = getdata_sh("wikitext-2", "--data-dir", tmp_path / "data")
    assert (status, output, errors) == (0, "%s is there and intact: nothing to do\n" % folder, "")
    assert (raw_corpora.folder_bytes(folder), os.stat(str(folder / "train.txt")).st_mtime) == before
    status, output, errors = getdata_sh(*arguments, cwd=str(tmp_path))
    assert (status, output, errors) == (2, "", "error: source not found: wikitext-2-v1.zip; give an existing folder "
                                               "or file\n")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_digests_can_be_checked_with_sha256sum(tmp_path):
    demo.prepare_language_demo(str(tmp_path / "demo"))
    assert subprocess.call(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=str(tmp_path / "demo")) == 0


@pytest.mark.parametrize("arguments, message", [
    (["pen"], "unknown corpus 'pen', expected penn or wikitext-2"),
    (["--source", "x"], "--source is of one corpus; say which: ./getdata.sh penn --source PATH"),
    (["penn", "--source", "SOURCE"], "ptb.train.txt of SOURCE is not the published file: expected md5 f26c4b92"),
    (["wikitext-2", "--source", "SOURCE"], "folder SOURCE has no wiki.train.tokens; expected wiki.train.tokens, "),
])
def test_errors_are_one_line_and_leave_nothing(tmp_path, capsys, arguments, message):
    source = write_corpus(tmp_path / "raw", form="ptb.%s.txt")
    arguments = [argument.replace("SOURCE", source) for argument in arguments]
    with pytest.raises(SystemExit) as leaving:
        getdata.main(arguments + ["--data-dir", str(tmp_path / "data")])
    captured = capsys.readouterr()
    assert leaving.value.code == 2 and captured.out == ""
    assert captured.err.startswith("error: " + message.replace("SOURCE", source)) and captured.err.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_downloads(tmp_path, capsys, monkeypatch):
    def fetch(url, known_hash, folder):
        assert (known_hash is None) == url.endswith(".zip")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, url.rsplit("/", 1)[1])
        if url.endswith(".zip"):
            return raw_corpora.write_zip(path, {"w/wiki.%s.tokens" % part: TEXTS[part] for part in TEXTS})
        write_corpus(folder, form="ptb.%s.txt")
        return path
    monkeypatch.setattr(download, "fetch", fetch)
    getdata.main(["--data-dir", str(tmp_path), "--no-checksum"])
    output = capsys.readouterr().out
    assert "penn written" in output and "(no published digest was known to compare it with)" in output
    assert corpus.folder_source(str(tmp_path / "wikitext-2")) == "downloaded, not compared with the published files"


def test_damaged_download_without_a_digest_is_removed(tmp_path, capsys, monkeypatch):
    path = tmp_path / "wikitext-2-v1.zip"
    path.write_bytes(b"<html>moved</html>")
    monkeypatch.setattr(getdata, "download_corpus", lambda *_arguments: str(path))
    with pytest.raises(SystemExit):
        getdata.main(["wikitext-2", "--data-dir", str(tmp_path / "data")])
    assert "is not a .zip" in capsys.readouterr().err and not path.exists()


def test_demo_is_written_once_and_can_be_learned(tmp_path, monkeypatch):
    folder = str(tmp_path / "demo")
    demo.prepare_language_demo(folder)
    data = corpus.read_corpus(folder)
    assert len(data.train) > 60000 and 600 < len(data.vocabulary) < 1000 and data.vocabulary[-1] == "<eos>"
    counts = collections.Counter(data.train.tolist())
    pairs = collections.Counter(zip(data.train[:-1].tolist(), data.train[1:].tolist()))
    alone = np.array([counts[token] / len(data.train) for token in data.valid[1:]])
    after = np.array([pairs[pair] / counts[pair[0]] for pair in zip(data.valid[:-1].tolist(), data.valid[1:].tolist())])
    perplexities = [np.exp(-np.log(share).mean()) for share in (alone, 0.9 * after + 0.1 * alone)]
    assert perplexities[1] < perplexities[0] / 5
    monkeypatch.setattr(demo, "generate_language", None)
    demo.prepare_language_demo(folder)
    getdata_folder = str(tmp_path / "penn")
    corpus.write_files(getdata_folder, {"train.txt": b"x"}, "real")
    with pytest.raises(ReportedError, match="holds data that was not generated"):
        demo.prepare_language_demo(getdata_folder)


def test_getdata_replaces_a_demo(tmp_path, capsys):
    demo.prepare_language_demo(str(tmp_path / "penn"))
    source = write_corpus(tmp_path / "raw")
    getdata.main(["penn", "--source", source, "--data-dir", str(tmp_path), "--no-checksum"])
    assert "written" in capsys.readouterr().out and len(corpus.read_corpus(str(tmp_path / "penn")).vocabulary) == 5


def test_real_ptb(tmp_path):
    source = os.path.join(REAL_DATA, "ptb.zip")
    if not os.path.exists(source):
        pytest.skip("no real data: %s is not there (REAL_DATA names the folder)" % source)
    status, output, errors = getdata_sh("penn", "--source", source, "--data-dir", tmp_path)
    assert (status, errors) == (0, "") and "train.txt: 929589 tokens" in output
    data = corpus.read_corpus(str(tmp_path / "penn"))
    assert [len(entry) for entry in data] == [10000, 929589, 73760, 82430]
    assert data.vocabulary[-3:] == ["<eos>", "<unk>", "the"]
    assert corpus.read_corpus(str(tmp_path / "penn"), "none").vocabulary[0] == "aer"


def test_new_data_modules_do_not_import_theano():
    import sys
    program = ("import sys; from Experiments.shared.data import corpus, getdata, minibatches, tagging; "
               "sys.exit(any(name.split('.')[0] in ('theano', 'lasagne') for name in sys.modules))")
    assert subprocess.call([sys.executable, "-c", program], cwd=raw_corpora.ROOT) == 0
