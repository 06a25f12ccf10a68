"""Text classification data: tokens, vocabulary, the two raw formats, the prepared folder."""

import os

import numpy as np
import pytest
from helpers import raw_corpora

from Experiments.shared.data import classification as text
from theano_rnn.errors import ReportedError
from theano_rnn.npz_store import load_arrays, save_arrays
from theano_rnn.tokens import tokenize


def prepare(folder, dataset="IMDB", **changes):
    arguments = dict(documents_train=["b a a", "a b c", "c d"], labels_train=[0, 1, 1], documents_test=["d a"],
                     labels_test=[0], data_dir=str(folder), dataset=dataset, details={"source": "test"})
    arguments.update(changes)
    return text.prepare_text(**arguments)


def test_tokens_are_the_pieces_between_runs_of_non_word_characters():
    assert tokenize(" It's <br />caf\u00e9_1 ...9") == ["It", "s", "br", "caf\u00e9_1", "9"]
    assert tokenize(" ... ") == []


def test_vocabulary_order_and_the_two_documents_rule():
    documents = ["zz zz once once once", "zz B b a \u00e9", "b B a \u00e9"]
    assert text.build_vocabulary(documents) == ["zz", "B", "a", "b", "\u00e9", "</s>"]


def test_vocabulary_counts_all_occurrences():
    assert text.build_vocabulary(["a b b b", "a b", "a"]) == ["b", "a", "</s>"]


def test_vocabulary_is_cut_to_the_most_frequent():
    assert text.build_vocabulary(["a b c", "a b c", "c"], largest=2) == ["c", "a", "</s>"]
    assert text.LARGEST_VOCABULARY == 100000


def test_documents_end_with_the_end_mark_and_unknown_words_are_outside():
    documents = text.encode_documents(["a x", "b"], [1, 0], ["a", "b", "</s>"])
    np.testing.assert_array_equal(documents.tokens, [0, 3, 2, 1, 2])
    np.testing.assert_array_equal(documents.offsets, [0, 3, 5])
    np.testing.assert_array_equal(documents.labels, [1, 0])
    assert [array.dtype for array in documents] == [np.int32, np.int64, np.int32]


def test_prepared_folder_is_read_back(tmp_path):
    written = prepare(tmp_path / "p")
    data = text.load_text(str(tmp_path / "p"), "IMDB")
    assert data.vocabulary == written.vocabulary == ["a", "b", "c", "</s>"]
    assert data.classes == 2
    for part in ("train", "test"):
        for array, expected in zip(getattr(data, part), getattr(written, part)):
            np.testing.assert_array_equal(array, expected)
    assert (tmp_path / "p" / "vocabulary.txt").read_bytes() == b"a\nb\nc\n</s>\n"
    metadata = load_arrays(str(tmp_path / "p" / "train.npz"))[1]
    assert (metadata["dataset"], metadata["kind"], metadata["classes"], metadata["vocabulary_size"],
            metadata["documents"], metadata["source"]) == ("IMDB", "text", 2, 4, 3, "test")
    assert len(metadata["vocabulary_sha256"]) == 64


def test_covered_share_counts_words_without_ends_of_documents(tmp_path):
    data = prepare(tmp_path / "p")
    assert text.covered_share(data) == pytest.approx(7 / 8)
    assert text.covered_share(data, 1) == pytest.approx(3 / 8)


def test_missing_data_says_how_to_get_it(tmp_path):
    with pytest.raises(ReportedError) as error:
        text.load_text(str(tmp_path), "IMDB")
    assert str(error.value) == (
        "no prepared data in %s: run 'python prepare_data.py' (or 'python prepare_data.py --source PATH' for a local "
        "copy), or try 'python main.py CONFIG --demo'" % tmp_path)


def test_incomplete_folder(tmp_path):
    prepare(tmp_path / "p")
    os.remove(str(tmp_path / "p" / "test.npz"))
    with pytest.raises(ReportedError, match="lacks test.npz; run prepare_data.py again"):
        text.load_text(str(tmp_path / "p"), "IMDB")


def test_vocabulary_of_another_preparation(tmp_path):
    prepare(tmp_path / "p")
    (tmp_path / "p" / "vocabulary.txt").write_bytes(b"a\nc\nb\n</s>\n")
    with pytest.raises(ReportedError, match="train.npz does not belong here: its vocabulary_sha256 is"):
        text.load_text(str(tmp_path / "p"), "IMDB")


def test_another_data_set(tmp_path):
    prepare(tmp_path / "p")
    with pytest.raises(ReportedError, match="its dataset is IMDB, expected AGNews"):
        text.load_text(str(tmp_path / "p"), "AGNews")


@pytest.mark.parametrize("name, value, message", [
    ("tokens", np.array([9] * 11, np.int32), "a token outside 0 to 4"),
    ("labels", np.array([0, 1, 2], np.int32), "a label outside 0 to 1"),
    ("offsets", np.array([0, 4, 8, 12]), "offsets that do not cut its 11 tokens"),
    ("labels", np.array([0, 1], np.int32), "4 offsets, 2 labels and 3 documents"),
])
def test_arrays_that_do_not_fit(tmp_path, name, value, message):
    prepare(tmp_path / "p")
    path = str(tmp_path / "p" / "train.npz")
    arrays, metadata = load_arrays(path)
    assert len(arrays["tokens"]) == 11
    arrays[name] = value
    save_arrays(path, arrays, metadata)
    with pytest.raises(ReportedError, match=message):
        text.load_text(str(tmp_path / "p"), "IMDB")


def test_damaged_file_is_named(tmp_path):
    prepare(tmp_path / "p")
    path = tmp_path / "p" / "train.npz"
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])
    with pytest.raises(ReportedError, match="train.npz is damaged"):
        text.load_text(str(tmp_path / "p"), "IMDB")


def test_failed_preparation_leaves_the_old_folder(tmp_path, monkeypatch):
    prepare(tmp_path / "p")
    before = raw_corpora.folder_bytes(tmp_path / "p")

    def fail(*_arguments, **_options):
        raise KeyboardInterrupt
    monkeypatch.setattr(text, "save_arrays", fail)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "p", labels_test=[1])
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "q")
    assert raw_corpora.folder_bytes(tmp_path / "p") == before
    assert os.listdir(str(tmp_path)) == ["p"]


def test_what_a_killed_preparation_left_is_removed(tmp_path):
    abandoned = tmp_path / "p.999999999.unfinished"
    abandoned.mkdir()
    prepare(tmp_path / "p")
    assert os.listdir(str(tmp_path)) == ["p"]


def test_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_bytes(b"x")
    with pytest.raises(ReportedError, match="holds thesis.tex, which is no prepared data"):
        prepare(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_corpus_without_vocabulary(tmp_path):
    with pytest.raises(ReportedError, match="no word occurs in two training documents"):
        prepare(tmp_path / "p", documents_train=["a", "b", "c"])


def test_imdb_folder_keeps_case_and_order(tmp_path):
    tree = raw_corpora.imdb_tree(tmp_path)
    for source in (tree, str(tmp_path)):
        corpus = text.read_imdb(source, check=False)
        documents, labels = corpus["train"]
        assert labels == [1] * 12 + [0] * 12
        assert documents[10].startswith("A good film, number 10.")
        assert documents[12].startswith("A bad film, number 0.")
        assert "caf\u00e9" in documents[0]


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "tar", "zip"])
def test_imdb_archives_give_what_the_folder_gives(tmp_path, kind):
    tree = raw_corpora.imdb_tree(tmp_path)
    path = tmp_path / "archive"
    if kind == "zip":
        raw_corpora.write_zip(path, raw_corpora.imdb_texts(), "some/aclImdb/")
    else:
        raw_corpora.write_tar(path, tree, "./aclImdb", {"tar": "w"}.get(kind, "w:" + kind[4:]))
    assert text.read_imdb(str(path), check=False) == text.read_imdb(tree, check=False)


@pytest.mark.parametrize("kind", ["w:gz", "w:xz", "w:bz2", "w", "zip"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_truncated_archives_are_refused(tmp_path, kind, share):
    tree = raw_corpora.imdb_tree(tmp_path)
    path = tmp_path / "archive"
    if kind == "zip":
        raw_corpora.write_zip(path, raw_corpora.imdb_texts(), "aclImdb/")
    else:
        raw_corpora.write_tar(path, tree, "aclImdb", kind)
    content = path.read_bytes()
    if kind == "w":
        content = content.rstrip(b"\0")
    path.write_bytes(content[:int(len(content) * share)])
    with pytest.raises(ReportedError, match="archive .*archive ends early or is damaged"):
        text.read_imdb(str(path), check=False)


def test_tar_cut_between_two_members_is_refused(tmp_path):
    tree = raw_corpora.imdb_tree(tmp_path)
    path = tmp_path / "archive"
    raw_corpora.write_tar(path, tree, "aclImdb", "w")
    path.write_bytes(path.read_bytes()[:20 * 512])
    with pytest.raises(ReportedError, match="ends early or is damaged"):
        text.read_imdb(str(path), check=False)


def test_damaged_zip_member_is_refused(tmp_path):
    path = tmp_path / "archive.zip"
    raw_corpora.write_zip(path, raw_corpora.imdb_texts(), "aclImdb/")
    content = bytearray(path.read_bytes())
    content[80:90] = b"\xff" * 10
    path.write_bytes(bytes(content))
    with pytest.raises(ReportedError, match="archive.zip ends early or is damaged"):
        text.read_imdb(str(path), check=False)


def test_what_is_no_archive(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"<html>not found</html>")
    with pytest.raises(ReportedError, match="x.tar.gz is not a .zip, .tar, .tar.gz"):
        text.read_imdb(str(tmp_path / "x.tar.gz"))
    with pytest.raises(ReportedError, match="source not found: .*nowhere"):
        text.read_imdb(str(tmp_path / "nowhere"))


def test_published_imdb_must_be_complete(tmp_path):
    tree = raw_corpora.imdb_tree(tmp_path)
    os.remove(os.path.join(tree, "train", "pos", "3_3.txt"))
    with pytest.raises(ReportedError, match=r"train/pos of .* lacks file 3_\*.txt \(11 of 12500 files found\)"):
        text.read_imdb(tree)
    assert len(text.read_imdb(tree, check=False)["train"][0]) == 23


def test_published_imdb_must_have_its_digests(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "IMDB_REVIEWS", 12)
    tree = raw_corpora.imdb_tree(tmp_path)
    message = "train/pos of .* expected sha256 3ab80.*found [0-9a-f]{64}; .*--no-checksum"
    with pytest.raises(ReportedError, match=message):
        text.read_imdb(tree)


def test_folder_digest_covers_names_and_contents():
    digests = {text.folder_digest(files) for files in (
        [("0_1.txt", b"a"), ("1_1.txt", b"b")], [("0_1.txt", b"ab"), ("1_1.txt", b"")],
        [("0_2.txt", b"a"), ("1_1.txt", b"b")], [("1_1.txt", b"b"), ("0_1.txt", b"a")])}
    assert len(digests) == 4


@pytest.mark.parametrize("name, content, message", [
    ("train/neg/5_5.txt", b" <> ...\n", "empty document: train/neg/5_5.txt of .* has no word"),
    ("train/neg/5_5.txt", b"a\nb\xff", "train/neg/5_5.txt, line 2: not valid UTF-8"),
    ("train/neg/notes.txt", b"a", "unexpected file notes.txt in train/neg of .*; expected names such as 127_9.txt"),
    ("train/neg/05_5.txt", b"a", "two files with number 5 in train/neg of .*: 05_5.txt and 5_5.txt"),
])
def test_imdb_files_with_problems_are_named(tmp_path, name, content, message):
    tree = raw_corpora.imdb_tree(tmp_path)
    with open(os.path.join(tree, *name.split("/")), "wb") as stream:
        stream.write(content)
    with pytest.raises(ReportedError, match=message):
        text.read_imdb(tree, check=False)


def test_imdb_folder_without_a_part(tmp_path):
    os.makedirs(str(tmp_path / "train" / "pos"))
    with pytest.raises(ReportedError, match="has no train/neg; expected the tree aclImdb"):
        text.read_imdb(str(tmp_path))


def test_agnews_is_lower_cased_and_joined(tmp_path):
    raw_corpora.write_tree(tmp_path, {"train.csv": raw_corpora.agnews_csv(), "test.csv": raw_corpora.agnews_csv(repeat=1)})
    corpus = text.read_agnews(str(tmp_path), check=False)
    assert corpus["test"][1] == [0, 1, 2, 3, 1]
    assert corpus["test"][0][1] == "cup final the team wins the cup, 3:1"
    assert corpus["test"][0][0] == 'peace talks the talks in rome go on; \\"hope\\"'
    assert len(corpus["train"][0]) == 20


def test_agnews_hold_out_is_fixed_and_complete(tmp_path):
    path = tmp_path / "ag.csv"
    rows = [(1 + number % 4, "title %d" % number, "x") for number in range(50)]
    path.write_bytes(raw_corpora.agnews_csv(rows, 1).encode("utf-8"))
    corpus = text.read_agnews(str(path), 0.2, check=False)
    assert text.read_agnews(str(path), 0.2, check=False) == corpus
    assert len(corpus["train"][0]) == 40 and len(corpus["test"][0]) == 10
    numbers = sorted(int(document.split()[1]) for part in corpus.values() for document in part[0])
    assert numbers == list(range(50))
    for documents, labels in corpus.values():
        assert labels == [int(document.split()[1]) % 4 for document in documents]
    assert corpus["test"][0] != ["title %d x" % number for number in range(40, 50)]


@pytest.mark.parametrize("content, message", [
    (b'"1","a","b"\n"2","a"\n', "x.csv, line 2: expected 3 columns .class, title, description., found 2"),
    (b'"1","a","b\nc"\n"5","a","b"\n', "x.csv, line 3: expected a class from 1 to 4, found '5'"),
    (b'"1","a","b"\n"2","a","b', "x.csv, line 2: malformed row"),
    (b'"1","a","b"\n"2","a"x,"b"\n', "x.csv, line 2: malformed row"),
    (b'"1","a","b"\n"2","\xff","b"\n', "x.csv, line 2: not valid UTF-8"),
    (b'"1","a","b"\n"2","."," "\n', "empty document: x.csv, line 2 has no word"),
    (b'', "x.csv has no rows"),
])
def test_agnews_rows_with_problems_are_named(tmp_path, content, message):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(ReportedError, match=message):
        text.read_agnews(str(path), 0.5, check=False)


def test_agnews_sources_with_problems(tmp_path):
    path = tmp_path / "ag.csv"
    path.write_bytes(raw_corpora.agnews_csv().encode("utf-8"))
    with pytest.raises(ReportedError, match="single csv file: say with --holdout FRACTION"):
        text.read_agnews(str(path))
    with pytest.raises(ReportedError, match="expected md5 b1a00f.* or d52ea9.*, found .*--no-checksum"):
        text.read_agnews(str(path), 0.5)
    for fraction, message in ((0.0, "expected a fraction between"), (1.5, "expected a fraction between"),
                              (0.001, "leaves one part empty")):
        with pytest.raises(ReportedError, match=message):
            text.read_agnews(str(path), fraction, check=False)
    with pytest.raises(ReportedError, match="has no train.csv; expected train.csv, test.csv"):
        text.read_agnews(str(tmp_path), check=False)
    with pytest.raises(ReportedError, match="--holdout is for a single csv file"):
        text.read_agnews(str(tmp_path), 0.5)
