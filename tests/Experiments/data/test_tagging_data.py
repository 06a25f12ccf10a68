"""Tagged sentences: reading, numbering, CoNLL-2000, the demonstration corpus."""

import collections
import os

import numpy as np
import pytest
from helpers import raw_corpora

from Experiments.shared.data import archives as sources
from Experiments.shared.data import corpus, demo
from Experiments.shared.data import tagging as tagged
from theano_rnn.errors import ReportedError

FILES = {
    "wsj_train.conll": "The\tDT\ndog\tNN\nsees\tVBZ\nthe\tDT\ndog\tNN\n\n\nBark\tVB\n",
    "wsj_valid.conll": "the\tDT\ncat\tNN\n\n",
    "wsj_test.conll": "dog\tNN\r\n\r\nsees\tVBZ\r\n",
}
CHUNKED = "The DT B-NP\ndog NN I-NP\n\nBark VB B-VP\n\n"
REAL_DATA = os.environ.get("REAL_DATA", os.path.join(os.path.dirname(raw_corpora.ROOT), "shared", "data"))


def written(folder, **changes):
    """Write FILES with changes (by part, or `tags`)."""
    files = dict(FILES)
    for name, text in changes.items():
        files["tags.txt" if name == "tags" else "wsj_%s.conll" % name] = text
    return raw_corpora.write_tree(folder, files)


def sentences(data, part):
    raw = getattr(data, part)
    pairs = [(data.vocabulary[token], data.tags[tag]) for token, tag in zip(raw.tokens, raw.tags)]
    return [pairs[begin:end] for begin, end in zip(raw.offsets[:-1], raw.offsets[1:])]


def test_sentences_words_and_tags(tmp_path):
    data = tagged.read_tagged(written(tmp_path))
    assert data.tags == ["DT", "NN", "VB", "VBZ"]
    assert sentences(data, "train") == [[("The", "DT"), ("dog", "NN"), ("sees", "VBZ"), ("the", "DT"), ("dog", "NN")],
                                        [("Bark", "VB")]]
    assert sentences(data, "valid") == [[("the", "DT"), ("<unk>", "NN")]]
    assert sentences(data, "test") == [[("dog", "NN")], [("sees", "VBZ")]]
    assert [array.dtype for array in data.train] == [np.int32, np.int32, np.int64]


@pytest.mark.parametrize("order, expected", [
    ("up", "<unk> Bark The sees the dog"), ("down", "dog Bark The sees the <unk>"),
    ("none", "The dog sees the Bark <unk>"),
])
def test_order_of_the_vocabulary(tmp_path, order, expected):
    assert tagged.read_tagged(written(tmp_path), order).vocabulary == expected.split()


def test_random_order_depends_on_the_seed(tmp_path):
    folder = written(tmp_path)
    orders = [tagged.read_tagged(folder, "rand", seed).vocabulary for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2] and sorted(orders[0]) == sorted(orders[2])


def test_unknown_word_that_train_has_is_counted(tmp_path):
    data = tagged.read_tagged(written(tmp_path, train="<unk>\tNN\n<unk>\tNN\na\tDT\n", test="b\tDT\n"))
    assert data.vocabulary == ["a", "<unk>"]
    assert sentences(data, "test") == [[("<unk>", "DT")]]


def test_tags_file_gives_the_order(tmp_path):
    data = tagged.read_tagged(written(tmp_path, tags="VBZ\nVB\nUH\n\nNN\nDT\n"))
    assert data.tags == ["VBZ", "VB", "UH", "NN", "DT"]
    assert sentences(data, "test")[1] == [("sees", "VBZ")]


@pytest.mark.parametrize("changes, message", [
    (dict(valid="a\tNN\n\nb\tXX\n"), "wsj_valid.conll, line 3: the tag 'XX' is not in wsj_train.conll"),
    (dict(tags="DT\nNN\nVB\n"), "wsj_train.conll, line 3: the tag 'VBZ' is not in tags.txt; expected one of its 3"),
    (dict(tags="DT\nNN\nDT\n"), "tags.txt, line 3: the tag 'DT' stands there twice"),
    (dict(tags="\n"), "tags.txt is empty; expected one tag a line"),
    (dict(train="a\tNN\nb NN\n"), "wsj_train.conll, line 2: expected 'token TAB tag', found 'b NN'"),
    (dict(train="a\tNN\tB-NP\n"), "wsj_train.conll, line 1: expected 'token TAB tag'"),
    (dict(train="a\t\n"), "wsj_train.conll, line 1: expected 'token TAB tag'"),
    (dict(test="\n\n"), "wsj_test.conll has no sentence"),
])
def test_errors_of_reading(tmp_path, changes, message):
    with pytest.raises(ReportedError, match=message):
        tagged.read_tagged(written(tmp_path, **changes))


def test_missing_files_say_how_to_get_them(tmp_path):
    with pytest.raises(ReportedError, match="no tagged sentences in .*: run 'python prepare_data.py'.*--demo"):
        tagged.read_tagged(str(tmp_path / "nowhere"))
    folder = written(tmp_path)
    (tmp_path / "wsj_test.conll").write_bytes(b"a\tNN\n\xff\tNN\n")
    with pytest.raises(ReportedError, match="wsj_test.conll, line 2: not valid UTF-8"):
        tagged.read_tagged(folder)
    (tmp_path / "wsj_test.conll").unlink()
    with pytest.raises(ReportedError, match="has no wsj_test.conll; expected wsj_train.conll, wsj_valid.conll, wsj_t"):
        tagged.read_tagged(folder)


def test_default_folder(tmp_path):
    assert tagged.default_tagged_folder(str(tmp_path)) == str(tmp_path / "data" / "conll2000")
    (tmp_path / "data" / "wsj").mkdir(parents=True)
    assert tagged.default_tagged_folder(str(tmp_path)) == str(tmp_path / "data" / "wsj")


def test_files_written_are_read_back(tmp_path):
    parts, tags = tagged.parse_tagged({name: text.encode("utf-8") for name, text in FILES.items()}, "memory")
    contents = tagged.tagged_files(parts, tags)
    assert contents["wsj_test.conll"] == b"dog\tNN\n\nsees\tVBZ\n\n"
    assert tagged.parse_tagged(contents, "memory") == (parts, tags)


def conll2000_files(train=CHUNKED * 10, test=CHUNKED):
    return {"train.txt": train, "test.txt": test}


@pytest.mark.parametrize("archive", [False, True])
def test_script_prepares_conll2000(tmp_path, archive):
    source = raw_corpora.write_zip(tmp_path / "conll2000.zip", conll2000_files(), "conll2000/") if archive else \
        raw_corpora.write_tree(tmp_path / "raw", conll2000_files())
    arguments = ["--source", source, "--data-dir", str(tmp_path / "out"), "--no-checksum"]
    status, output, errors = raw_corpora.run_script("sequence_labeling", *arguments)
    assert (status, errors) == (0, "")
    assert output == ("%s written\ntrain: 18 sentences, 27 tokens\nvalid: 2 sentences, 3 tokens\n"
                      "test: 2 sentences, 3 tokens\n3 tags, 3 words in train\n" % (tmp_path / "out"))
    data = tagged.read_tagged(str(tmp_path / "out"))
    assert data.tags == ["DT", "NN", "VB"] and sentences(data, "valid") == sentences(data, "test")
    status, output, errors = raw_corpora.run_script("sequence_labeling", *arguments)
    assert status == 0 and "is there and intact" in output


def test_script_takes_the_wall_street_journal(tmp_path):
    source = written(tmp_path / "licensed", tags="VBZ\nVB\nNN\nDT\n")
    status, _, errors = raw_corpora.run_script("sequence_labeling", "--source", source, "--data-dir", tmp_path / "wsj")
    assert (status, errors) == (0, "")
    copy, original = tagged.read_tagged(str(tmp_path / "wsj")), tagged.read_tagged(source)
    assert copy.vocabulary == original.vocabulary and copy.tags == original.tags
    assert corpus.folder_source(str(tmp_path / "wsj")) == "the Wall Street Journal part, a local copy"


@pytest.mark.parametrize("files, options, message", [
    (conll2000_files(), [], "is not the published file: expected md5 "),
    (conll2000_files(train="a DT B-NP\nb\n"), ["--no-checksum"], "train.txt of SOURCE, line 2: expected 'token tag ch"),
    (conll2000_files(train=CHUNKED), ["--no-checksum"], "has only 2 sentences, too few"),
    ({"test.txt": CHUNKED}, [], "folder SOURCE has no train.txt; expected train.txt, test.txt"),
])
def test_script_errors_are_one_line_and_leave_nothing(tmp_path, files, options, message):
    source = raw_corpora.write_tree(tmp_path / "raw", files)
    status, output, errors = raw_corpora.run_script("sequence_labeling", "--source", source, "--data-dir", tmp_path / "out",
                                             *options)
    assert (status, output) == (2, "")
    assert errors.startswith("error: ") and errors.count("\n") == 1 and message.replace("SOURCE", source) in errors
    assert not (tmp_path / "out").exists()


def test_names_of_a_source(tmp_path):
    files = {"a.txt": "1", "b.txt": "2"}
    archive = raw_corpora.write_zip(tmp_path / "x.zip", dict(files, **{"__MACOSX/._a.txt": "junk"}), "deep/")
    folder = raw_corpora.write_tree(tmp_path / "raw", files)
    tar = raw_corpora.write_tar(tmp_path / "x.tar.gz", folder, "deep", "w:gz")
    assert sources.source_names(archive) == sources.source_names(folder) == sources.source_names(tar) == set(files)


def test_demo_is_as_described(tmp_path, monkeypatch):
    folder = str(tmp_path / "demo")
    demo.prepare_tagged_demo(folder)
    data = tagged.read_tagged(folder)
    assert [len(part.offsets) - 1 for part in data[2:]] == [2000, 250, 250]
    assert 900 < len(data.vocabulary) < 1200 and len(data.tags) == 21 and data.vocabulary[0] == "<unk>"
    counts = np.bincount(data.train.tokens, minlength=len(data.vocabulary))
    assert 0.4 < np.mean(counts <= 2) < 0.6 and (data.valid.tokens == 0).mean() > 0.01
    tags_of = collections.defaultdict(set)
    for token, tag in zip(data.train.tokens, data.train.tags):
        tags_of[token].add(tag)
    assert sum(len(tags) > 1 for tags in tags_of.values()) > 50
    monkeypatch.setattr(demo, "generate_tagged", None)
    demo.prepare_tagged_demo(folder)


def test_demo_needs_context():
    train, valid, _ = demo.generate_tagged()
    assert demo.generate_tagged()[0] == train != demo.generate_tagged(1)[0]
    by_word, by_context = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    for word, tag, before, after in with_neighbours(train):
        by_word[word][tag] += 1
        by_context[before, after][tag] += 1
    right, right_in_context, total = 0, 0, 0
    for word, tag, before, after in with_neighbours(valid):
        total += 1
        right += most_frequent(by_word[word]) == tag
        in_context = collections.Counter({candidate: by_context[before, after][candidate]
                                          for candidate in by_word[word] or by_context[before, after]})
        right_in_context += most_frequent(in_context) == tag
    assert right / total < 0.9 and right_in_context / total > 0.95


def with_neighbours(part):
    """Each word with its tag and the tags beside it."""
    for sentence in part:
        tags = [""] + [tag for _, tag in sentence] + [""]
        for number, (word, tag) in enumerate(sentence):
            yield word, tag, tags[number], tags[number + 2]


def most_frequent(counter):
    return counter.most_common(1)[0][0] if counter else None


def test_real_conll2000(tmp_path):
    source = os.path.join(REAL_DATA, "conll2000.zip")
    if not os.path.exists(source):
        pytest.skip("no real data: %s is not there (REAL_DATA names the folder)" % source)
    status, _, errors = raw_corpora.run_script("sequence_labeling", "--source", source, "--data-dir", tmp_path / "out")
    assert (status, errors) == (0, "")
    data = tagged.read_tagged(str(tmp_path / "out"))
    assert [len(part.offsets) - 1 for part in data[2:]] == [8042, 894, 2012]
    assert [len(part.tokens) for part in data[2:]] == [190717, 21010, 47377]
    assert (len(data.vocabulary), len(data.tags)) == (18208, 44) and data.vocabulary[0] == "<unk>"
