"""Own labelled texts: the formats of the reader, its checks, and the split."""

import codecs
import collections
import csv
import gzip
import io
import json
import os

from theano_rnn.errors import ReportedError

import pytest
from helpers import raw_corpora, running
from hypothesis import given
from hypothesis import strategies as st

from Experiments.shared.data.labelled_texts import Columns, LabelledTexts, read_labelled_texts, with_held_out_parts
from Experiments.shared.data.prepare import find_data_set, main
from Experiments.shared.data.prepared_folder import PARTS
from Experiments.shared.data.text_classification import load_text, prepare_text

ROWS = [("refund", "Where is my money, please?"), ("praise", 'They said "thanks"\nand meant it'), ("refund", "money")]
TEXTS, LABELS = [text for _, text in ROWS], [label for label, _ in ROWS]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return str(path)


def table(rows, **form):
    content = io.StringIO()
    csv.writer(content, **form).writerows(rows)
    return content.getvalue()


def json_lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def read(path, texts=None, label=None):
    return read_labelled_texts(path, Columns(texts, label))["train"]


@pytest.mark.parametrize("name, content", [
    ("a.csv", table([("label", "text")] + ROWS)),
    ("a.csv", codecs.BOM_UTF8 + table([("Text", "ID", "Category")] + [(t, "x", c) for c, t in ROWS]).encode("utf-8")),
    ("a.csv", table([("department", "text")] + ROWS)),
    ("a.csv", table(ROWS)),
    ("a.csv", table([(text, label) for label, text in ROWS])),
    ("A.CSV", table([("label", "text")] + ROWS, delimiter=";")),
    ("a.tsv", table([("label", "text")] + ROWS, delimiter="\t")),
    ("a.csv.gz", gzip.compress(table(ROWS).encode("utf-8"))),
    ("a.jsonl", json_lines({"id": 1, "text": text, "label": label} for label, text in ROWS) + "\n"),
], ids=["label and text", "byte order mark", "department", "no header", "no header, text first", "semicolons", "tabs",
        "gzip", "JSON lines"])                  # not the contents: gzip stores the time
def test_tables_in_all_formats(tmp_path, name, content):
    part = read(write(tmp_path / name, content))
    assert (part.texts, part.labels) == (TEXTS, LABELS)
    assert all(place.startswith(str(tmp_path / name) + ", line ") for place in part.places)


def test_columns_that_are_given(tmp_path):
    rows = [("3", "Cup", "the cup is won"), ("1", "Talks", "talks go on"), ("3", "Ball", "a ball")]
    path = write(tmp_path / "a.csv", table(rows))
    part = read(path, ("2", "3"), "1")
    assert (part.texts, part.labels) == (["Cup the cup is won", "Talks talks go on", "Ball a ball"], ["3", "1", "3"])
    path = write(tmp_path / "b.csv", table([("a", "b", "text")] + rows))
    assert read(path, ("text",), "A") == read(path, label="a") == LabelledTexts(
        [row[2] for row in rows], ["3", "1", "3"], ["%s, line %d" % (path, line) for line in (2, 3, 4)])
    assert read(write(tmp_path / "b.csv", table([("a", "b")] + ROWS)), label="a").texts == TEXTS
    assert read(write(tmp_path / "b.csv", table([("a", "b")] + ROWS)), ("b",)).labels == LABELS
    path = write(tmp_path / "c.jsonl", json_lines({"x": text, "y": 7, "z": True} for text in TEXTS))
    assert read(path, ("x",), "z").labels == ["true"] * 3 and read(path, ("x",), "y").labels == ["7"] * 3


def test_a_header_is_not_read_as_a_text(tmp_path):
    """The names of two columns are not known, or the columns are given by their numbers."""
    path = write(tmp_path / "a.csv", table([("v1", "v2")] + ROWS + ROWS))
    for columns in ((), (("2",), "1")):
        with pytest.raises(ReportedError, match="a.csv, line 1: no other line has the label 'v1'; if this line is a "
                                                "header, name its columns with --text-column"):
            read(path, *columns)
    assert read(path, ("v2",), "v1").labels == 2 * LABELS
    (tmp_path / "parts").mkdir()
    write(tmp_path / "parts" / "train.csv", table(ROWS))
    write(tmp_path / "parts" / "test.csv", table(ROWS[:1] + 2 * ROWS[1:2]))         # one text of a class is enough
    assert len(read_labelled_texts(str(tmp_path / "parts"))["test"].labels) == 3


def test_tabs_without_quoting_and_a_long_text(tmp_path):
    path = write(tmp_path / "a.tsv", 'label\ttext\nham\t"quoted" and more\nspam\t"open\nham\tsay 5" tall\n')
    assert read(path).texts == ['"quoted" and more', '"open', 'say 5" tall']
    # The first quote and the last one look as if they enclosed a text of two lines.
    path = write(tmp_path / "b.tsv", 'text\tlabel\n"open\tham\nsay it"\tspam\n')
    assert read(path).texts == ['"open', 'say it"'] and read(path).labels == ["ham", "spam"]
    path = write(tmp_path / "c.tsv", 'text\tlabel\n"two\nlines"\tham\n"a ""word"""\tspam\n')
    assert read(path).texts == ["two\nlines", 'a "word"']
    long = "word " * 50000
    assert read(write(tmp_path / "a.csv", table([("a", long), ("b", "x"), ("a", "y")]))).texts[0] == long


@pytest.mark.parametrize("name, content, message", [
    ("a.csv", 'label,text\na,b\na,b,c\n', "a.csv, line 3: expected 2 columns, as in the first line, got 3; enclose"),
    ("a.csv", 'label,text\na,"b\nc"\n"d"e,f\n', "a.csv, line 4: malformed row"),
    ("a.csv", 'label,text\na,b\n ,c\n', "a.csv, line 3: the label is empty"),
    ("a.csv", 'label,text\na,b\na,!\n', "empty document: .*a.csv, line 3 has no word"),
    ("a.csv", b'label,text\na,b\na,\xff\n', "a.csv, line 3: not valid UTF-8"),
    ("a.csv", 'label,text\na,b\na,c\0\n', "a.csv, line 3: the file contains a null character, so it is not plain"),
    ("a.csv", codecs.BOM_UTF16_LE + "a,b\n".encode("utf-16-le"), "a.csv is encoded as UTF-16, expected UTF-8"),
    ("a.csv", 'label,text\n', "a.csv has no texts; expected one labelled text per row"),
    ("a.csv", '', "a.csv has no texts"),
    ("a.csv", 'a\nb\n', "a.csv, line 1: expected at least two columns, text and label, got one"),
    ("a.csv", '1,b,c\n2,d,e\n', "a.csv: cannot tell the columns .*'1', 'b', 'c'.*by number from 1 to 3"),
    ("a.tsv", 'label\ttext\na\tb\tc\n', "a.tsv, line 2: expected 2 columns"),
    ("a.csv.gz", b"x", "a.csv.gz is damaged"),
    ("a.jsonl", '{"text": "a", "label": "b"}\n{"text": \n', "a.jsonl, line 2: invalid JSON .*expected an object such"),
    ("a.jsonl", "[" * 100000, "a.jsonl, line 1: invalid JSON .*expected an object such"),
    ("a.jsonl", '{"text": "a", "label": "\\ud83d"}\n', "a.jsonl, line 1: the label .* contains half of a character"),
    ("a.jsonl", '[1]\n', "a.jsonl, line 1: expected a JSON object"),
    ("a.jsonl", '{"text": "a", "label": "b"}\n\n{"text": "a"}\n', "a.jsonl, line 3: the key 'label' is missing"),
    ("a.jsonl", '{"text": ["a"], "label": "b"}\n', r'a.jsonl, line 1: the value of \'text\' must be text, got \["a"\]'),
    ("a.jsonl", '{"text": "a", "label": null}\n', "a.jsonl, line 1: the value of 'label' must be text, got null"),
    ("a.jsonl", '{"x": "a", "y": "b"}\n', r"line 1: the keys of text and label are not known \(x, y\); name them with"),
    ("a.xlsx", '', "a.xlsx is not a csv, tsv or jsonl file"),
])
def test_malformed_files_are_refused_with_the_line(tmp_path, name, content, message):
    with pytest.raises(ReportedError, match=message):
        read(write(tmp_path / name, content))


@pytest.mark.parametrize("columns, message", [
    (dict(texts=("body",), label="label"), "cannot tell the columns"), (dict(texts=("9",), label="1"), "cannot tell"),
    (dict(texts=("1",), label="1"), "cannot tell"), (dict(label="class"), "cannot tell"),
])
def test_columns_that_do_not_exist(tmp_path, columns, message):
    with pytest.raises(ReportedError, match=message):
        read(write(tmp_path / "a.csv", table([("text", "label", "x")] + [row + ("y",) for row in ROWS])), **columns)


def test_folders_of_texts(tmp_path):
    files = {"a/2.txt": "two", "a/10.txt": "ten", "b/x.txt": "\ufeffeks", "b/notes.md": "ignored", ".git/x.txt": "no"}
    root = raw_corpora.write_tree(tmp_path / "all", files)
    parts = read_labelled_texts(root)
    assert {name: part[:2] for name, part in parts.items()} == {"train": (["ten", "two", "eks"], ["a", "a", "b"])}
    split = raw_corpora.write_tree(tmp_path / "split", dict(
        {"train/" + name: files[name] for name in files}, **{"test/b/1.txt": "other", "README": "x"}))
    parts = read_labelled_texts(split)
    assert list(parts) == ["train", "test"] and parts["test"][:2] == (["other"], ["b"])
    raw_corpora.write_tree(tmp_path / "all", {"c/x.md": "y"})
    for folder, message in ((root, "c has no file .*expected the texts of the class 'c'"),
                            (os.path.join(root, "a"), "has neither tables nor folders; expected a csv"),
                            (root + "x", "source not found")):
        with pytest.raises(ReportedError, match=message):
            read_labelled_texts(folder)


def test_a_folder_with_a_table_for_each_part(tmp_path):
    for name, label in (("train.csv", "a"), ("dev.jsonl", "b"), ("test.tsv", "c")):
        rows = [{"label": label, "text": "x"}]
        write(tmp_path / name, json_lines(rows) if name.endswith("jsonl") else
              table([("label", "text"), (label, "x")], delimiter="\t" if name.endswith("tsv") else ","))
    parts = read_labelled_texts(str(tmp_path))
    assert [(name, part.labels) for name, part in parts.items()] == [
        ("train", ["a"]), ("valid", ["b"]), ("test", ["c"])]
    write(tmp_path / "valid.csv", "a,b\n")
    with pytest.raises(ReportedError, match="two files for the valid part: dev.jsonl and valid.csv; expected one"):
        read_labelled_texts(str(tmp_path))
    for name in ("valid.csv", "train.csv"):
        os.remove(str(tmp_path / name))
    with pytest.raises(ReportedError, match="has dev.jsonl, test.tsv, but no train.csv"):
        read_labelled_texts(str(tmp_path))


# -- the split ---------------------------------------------------------------------------------------------------------

def labelled(labels, prefix="text"):
    texts = ["%s %d" % (prefix, number) for number in range(len(labels))]
    return LabelledTexts(texts, list(labels), ["line %d" % number for number in range(len(labels))])


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 60), min_size=2).filter(
    lambda counts: max(counts.values()) > 2 and 2 * len(counts) <= sum(counts.values())), st.floats(0.01, 0.49))
def test_the_split_keeps_every_text_and_the_share_of_each_class(counts, share):
    part = labelled("".join(label * counts[label] for label in sorted(counts)))
    divided = with_held_out_parts({"train": part}, share)
    assert divided == with_held_out_parts({"train": part}, share)
    assert list(divided) == ["train", "valid", "test"]
    order = {text: number for number, text in enumerate(part.texts)}
    found = [order[text] for split in divided.values() for text in split.texts]
    assert sorted(found) == list(range(len(part.texts)))
    for split in divided.values():
        assert split.texts == sorted(split.texts, key=order.get)
        assert split.labels == [part.labels[order[text]] for text in split.texts]
    for label, count in counts.items():
        train, valid, test = [split.labels.count(label) for split in divided.values()]
        assert valid == test and train >= 1 and (valid >= 1 or count < 3)
        assert abs(valid - share * count) <= 1 or train <= 2


def test_parts_that_are_given_stay(tmp_path):
    parts = {"train": labelled("aabbaabb"), "test": labelled("ab", "test")}
    divided = with_held_out_parts(parts, 0.25)
    assert divided["test"] == parts["test"] and sorted(divided["valid"].labels) == ["a", "b"]
    whole = dict(parts, valid=labelled("b", "valid"))
    assert with_held_out_parts(whole) == collections.OrderedDict((name, whole[name]) for name in divided)
    with pytest.raises(ReportedError, match="nothing to hold out; omit --holdout"):
        with_held_out_parts(whole, 0.2, required=True)


@pytest.mark.parametrize("parts, message", [
    ({"train": "aaa"}, "all 3 training texts have the label 'a'; expected at least two classes"),
    ({"train": "aabb", "test": "abc"}, "line 2: no training text has the label 'c' of this text; expected one of the "
                                       "2 classes a, b"),
    ({"train": "abcdef"}, "6 texts have 6 different labels, such as 'a'; .*--label-column"),
    ({"train": "aabb"}, "4 texts are too few to hold out some"),
])
def test_classes_that_cannot_be_learned(parts, message):
    with pytest.raises(ReportedError, match=message):
        with_held_out_parts({name: labelled(labels) for name, labels in parts.items()})


# -- the command line --------------------------------------------------------------------------------------------------

NO_VECTORS = ("--vectors", "none")


def test_prepared_bytes_do_not_depend_on_the_hash_seed_or_the_format(tmp_path):
    rows = [("class %d" % (number % 3), "Text %d of the number %d" % (number, number % 5)) for number in range(30)]
    sources = [write(tmp_path / "a.csv", table([("label", "text")] + rows)),
               write(tmp_path / "a.jsonl", json_lines({"text": text, "label": label} for label, text in rows))]
    for number, source in enumerate(sources):
        status, output, errors = raw_corpora.run_script(
            "Text", "--source", source, "--holdout", "0.2", "--data-dir", tmp_path / str(number), *NO_VECTORS,
            PYTHONHASHSEED=str(number))
        assert (status, errors) == (0, "")
        assert "train: 18 documents (6 class 0, 6 class 1, 6 class 2), 126 tokens\n" in output
        assert "test: 6 documents (2 class 0, 2 class 1, 2 class 2)" in output
        assert "words of a training text: 6 (median), at most 6 in 95 % of the texts" in output
    assert running.folder_bytes(tmp_path / "0") == running.folder_bytes(tmp_path / "1")
    assert b"Text" not in running.read_bytes(tmp_path / "0" / "vocabulary.txt")


def test_texts_that_occur_twice_are_reported(tmp_path, capsys):
    for name, texts in (("train", "abcd"), ("valid", "ex"), ("test", "abe")):
        rows = [("label", "text")] + [("xy"[number % 2], "Text " + text) for number, text in enumerate(texts)]
        write(tmp_path / (name + ".csv"), table(rows))
    main(find_data_set("Text"), ["--source", str(tmp_path), "--data-dir", str(tmp_path / "out"), "--vectors", "none"])
    assert capsys.readouterr().out.splitlines()[-1] == \
        "warning: 2 texts of test also occur in train, so its accuracy is too high"


def test_the_names_of_the_classes_are_those_of_all_parts(tmp_path):
    folders = [str(tmp_path / name) for name in "ab"]
    for folder, names in zip(folders, (["x", "y"], ["x", "z"])):
        part = ["a a", "a b"], [0, 1]
        data = prepare_text(dict.fromkeys(PARTS, part), folder, "Text", 2, {"source": "tests"}, names)
        loaded = load_text(folder, "Text", parts=PARTS)
        assert loaded.class_names == data.class_names == names
        assert loaded.valid.labels.tolist() == data.valid.labels.tolist() == [0, 1]
    os.replace(os.path.join(folders[0], "valid.npz"), os.path.join(folders[1], "valid.npz"))
    with pytest.raises(ReportedError, match="valid.npz must have the names of its 2 classes; run prepare_data.py"):
        load_text(folders[1], "Text", parts=PARTS)


@pytest.mark.parametrize("arguments, message", [
    ([], "error: --source is missing, expected a csv, tsv or jsonl file; "),
    (["--source", "no.csv"], "error: source not found: no.csv; expected a csv"),
    (["--source", "{file}", "--holdout", "0.5"], "error: --holdout must be a number in (0, 0.5), got 0.5"),
    (["--source", "{file}"], "error: all 3 training texts have the label 'a'; expected at least two classes"),
])
def test_errors_are_one_line_and_leave_nothing(tmp_path, arguments, message):
    path = write(tmp_path / "a.csv", "label,text\na,b\na,c\na,d\n")
    given = [argument.format(file=path) for argument in arguments]
    status, output, errors = raw_corpora.run_script("Text", "--data-dir", tmp_path / "out", *given, *NO_VECTORS)
    assert (status, output) == (2, "") and errors.startswith(message) and errors.count("\n") == 1
    assert os.listdir(str(tmp_path)) == ["a.csv"]
