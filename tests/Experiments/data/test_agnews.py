"""AG's News: the raw format, the hold-out part and the checks of the reader."""

import lzma

from theano_rnn.errors import ReportedError

import pytest
from helpers import raw_corpora

from Experiments.AGNews import prepare_data as agnews


def test_agnews_is_lower_cased_and_joined(tmp_path):
    raw_corpora.agnews_folder(tmp_path)
    corpus = agnews.read_agnews(str(tmp_path), check=False)
    assert corpus["test"][1] == [0, 1, 2, 3, 1]
    assert corpus["test"][0][1] == "cup final the team wins the cup, 3:1"
    assert corpus["test"][0][0] == 'peace talks the talks in rome go on; \\"hope\\"'
    assert len(corpus["train"][0]) == 20


def test_files_with_other_names_compressed_and_rows_with_an_empty_title(tmp_path):
    rows = b'"3","","Rome Rises . Shares rise"\n"2","Cup","won"\n'
    (tmp_path / "ag_news_train_2.csv.xz").write_bytes(lzma.compress(rows))
    (tmp_path / "ag_news_test.csv").write_bytes(b'"1","Talks","go on"\n')
    (tmp_path / "glove.ag_news.txt").write_bytes(b"")
    corpus = agnews.read_agnews(str(tmp_path), check=False)
    assert corpus == {"train": ([" rome rises . shares rise", "cup won"], [2, 1]), "test": (["talks go on"], [0])}
    with pytest.raises(ReportedError, match="ag_news_train_2.csv.xz of .* expected md5 b1a00f.* or 0a0f87"):
        agnews.read_agnews(str(tmp_path))
    (tmp_path / "train-b.csv").write_bytes(b"")
    with pytest.raises(ReportedError, match="several files for the train part: ag_news_train_2.csv.xz, train-b.csv"):
        agnews.read_agnews(str(tmp_path), check=False)
    (tmp_path / "train.csv").write_bytes(b'"1","a","b"\n')
    assert agnews.read_agnews(str(tmp_path), check=False)["train"] == (["a b"], [0])


def test_agnews_hold_out_is_fixed_and_complete(tmp_path):
    path = tmp_path / "ag.csv"
    rows = [(1 + number % 4, "title %d" % number, "x") for number in range(50)]
    path.write_bytes(raw_corpora.agnews_csv(rows, 1).encode("utf-8"))
    corpus = agnews.read_agnews(str(path), 0.2, check=False)
    assert agnews.read_agnews(str(path), 0.2, check=False) == corpus
    assert len(corpus["train"][0]) == 40 and len(corpus["test"][0]) == 10
    numbers = sorted(int(document.split()[1]) for part in corpus.values() for document in part[0])
    assert numbers == list(range(50))
    for documents, labels in corpus.values():
        assert labels == [int(document.split()[1]) % 4 for document in documents]
    assert corpus["test"][0] != ["title %d x" % number for number in range(40, 50)]


@pytest.mark.parametrize("content, message", [
    (b'"1","a","b"\n"2","a"\n', "x.csv, line 2: expected 3 columns .class, title, description., got 2"),
    (b'"1","a","b\nc"\n"5","a","b"\n', "x.csv, line 3: expected a class from 1 to 4, got '5'"),
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
        agnews.read_agnews(str(path), 0.5, check=False)


def test_agnews_sources_with_problems(tmp_path):
    path = tmp_path / "ag.csv"
    path.write_bytes(raw_corpora.agnews_csv().encode("utf-8"))
    with pytest.raises(ReportedError, match="single csv file; give the fraction .* with --holdout FRACTION"):
        agnews.read_agnews(str(path))
    with pytest.raises(ReportedError, match="expected md5 b1a00f.* or 0a0f87.* or d52ea9.*, got .*--no-checksum"):
        agnews.read_agnews(str(path), 0.5)
    for fraction, message in ((0.0, r"must be in \(0, 1\)"), (1.5, r"must be in \(0, 1\)"),
                              (0.001, "leaves one part empty")):
        with pytest.raises(ReportedError, match=message):
            agnews.read_agnews(str(path), fraction, check=False)
    with pytest.raises(ReportedError, match="has no train.csv; expected train.csv, test.csv"):
        agnews.read_agnews(str(tmp_path), check=False)
    with pytest.raises(ReportedError, match="--holdout is for a single csv file"):
        agnews.read_agnews(str(tmp_path), 0.5)
