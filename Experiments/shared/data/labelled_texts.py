"""Own labelled texts: csv, tsv and JSON lines, folders of texts per class, and their split into three parts."""

import collections
import contextlib
import csv
import json
import os
import re

from theano_rnn.errors import ReportedError

import numpy as np

from .archives import csv_rows, decode, decompressed, read_file, read_text
from .prepare import HELD_OUT_SEED
from .prepared_folder import PARTS
from .text_classification import checked_document

__all__ = ["LabelledTexts", "Columns", "read_labelled_texts", "with_held_out_parts", "SOURCE_HELP"]

#: Texts, their labels, and where each was read ("my.csv, line 3"), for error messages: three lists of str.
LabelledTexts = collections.namedtuple("LabelledTexts", "texts labels places")
#: Columns of the texts (they are joined) and of the label: names, or numbers from 1 as text. None to detect them.
Columns = collections.namedtuple("Columns", "texts label")

#: Names of columns and keys that are recognised, in any case.
TEXT_NAMES = ("text", "texts", "sentence", "document", "message", "content", "body", "review", "comment", "tweet",
              "question", "utterance")
LABEL_NAMES = ("label", "labels", "class", "category", "target", "topic", "sentiment", "intent", "tag")
TABLE_NAME = re.compile(r"(.+)\.(csv|tsv|jsonl)(\.gz|\.xz)?\Z", re.IGNORECASE)
#: Names of the parts in file and folder names.
PART_NAMES = {"train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid",
              "dev": "valid", "test": "test"}
SOURCE_HELP = ("a csv, tsv or jsonl file; a folder with train.csv, and valid.csv and test.csv if there are any; or a "
               "folder of texts, CLASS/*.txt or train/CLASS/*.txt and so on")


def read_labelled_texts(source, columns=Columns(None, None)):
    """Read labelled texts.

    Parameters
    ----------
    source : str
        A file ``*.csv``, ``*.tsv`` or ``*.jsonl`` (also with ``.gz`` or ``.xz``); a folder with one such file per part,
        named ``train``, ``valid`` or ``test``; or a folder of texts, ``CLASS/*.txt`` or ``PART/CLASS/*.txt``.
    columns : Columns
        For tables.

    Returns
    -------
    OrderedDict of str to LabelledTexts
        By part. Only ``"train"`` if the source is not split.

    Raises
    ------
    ReportedError
        With file and line, for everything that is malformed.
    """
    if not os.path.exists(source):
        raise ReportedError("source not found: %s; expected %s" % (source, SOURCE_HELP))
    if os.path.isfile(source):
        part = _read_table(source, columns)
        _refuse_header(part)
        return collections.OrderedDict(train=part)
    tables = _part_tables(source)
    if tables:
        parts = collections.OrderedDict((part, _read_table(tables[part], columns)) for part in PARTS if part in tables)
        _refuse_header(parts["train"])
        return parts
    folders = {PART_NAMES[name.lower()]: name for name in _folders(source) if name.lower() in PART_NAMES}
    if "train" in folders:
        return collections.OrderedDict((part, _read_classes(os.path.join(source, folders[part])))
                                       for part in PARTS if part in folders)
    return collections.OrderedDict(train=_read_classes(source))


def with_held_out_parts(parts, share=0.1, required=False):
    """Return the three parts of labelled texts: those given, and the missing ones taken from the training part.

    The draw has a fixed seed. It is stratified: the same share of each class, at least one text of a class with three
    or more. All parts keep the order of the texts.

    Parameters
    ----------
    parts : dict of str to LabelledTexts
        From `read_labelled_texts`.
    share : float
        Share of the texts in each missing part, in (0, 0.5).
    required : bool
        Whether it is an error if no part is missing.

    Returns
    -------
    OrderedDict of str to LabelledTexts
        Train, valid, test.

    Raises
    ------
    ReportedError
        If there are less than two classes, a class occurs only in valid or test, or a part is empty.

    Examples
    --------
    >>> texts = ["text %d" % number for number in range(20)]
    >>> parts = {"train": LabelledTexts(texts, ["even", "odd"] * 10, texts)}
    >>> [(name, part.labels) for name, part in with_held_out_parts(parts).items() if name != "train"]
    [('valid', ['odd', 'even']), ('test', ['odd', 'even'])]
    """
    missing = [part for part in ("valid", "test") if part not in parts]
    _check_classes(parts)
    train = parts["train"]
    if not missing:
        if required:
            raise ReportedError("the source has a train, valid and test part, so there is nothing to hold out; omit "
                                "--holdout")
        return collections.OrderedDict((part, parts[part]) for part in PARTS)
    place = {part: np.zeros(len(train.labels), dtype=bool) for part in missing}
    random, labels = np.random.RandomState(HELD_OUT_SEED), np.array(train.labels, dtype=object)
    for label in sorted(set(train.labels)):
        rows = np.flatnonzero(labels == label)
        rows = rows[random.permutation(len(rows))]
        # At least one text of each class stays in the training part.
        count = min(max(int(round(share * len(rows))), 1), (len(rows) - 1) // len(missing))
        for number, part in enumerate(missing):
            place[part][rows[number * count:(number + 1) * count]] = True
    divided = dict(parts, train=_rows(train, ~np.any(list(place.values()), axis=0)))
    divided.update((part, _rows(train, place[part])) for part in missing)
    if not divided[missing[-1]].texts:
        raise ReportedError("%d texts are too few to hold out some for validation and test; expected at least 3 texts "
                            "of a class" % len(train.texts))
    return collections.OrderedDict((part, divided[part]) for part in PARTS)


def _check_classes(parts):
    train = parts["train"]
    classes = set(train.labels)
    if len(classes) < 2:
        raise ReportedError("all %d training texts have the label %r; expected at least two classes"
                            % (len(train.labels), min(classes)))
    if 2 * len(classes) > max(len(train.labels), 4):
        raise ReportedError("%d texts have %d different labels, such as %.40r; expected several texts of each class: "
                            "is the column of the labels the right one (--label-column)?"
                            % (len(train.labels), len(classes), min(classes)))
    for part in ("valid", "test"):
        for label, place in zip(*parts[part][1:]) if part in parts else ():
            if label not in classes:
                raise ReportedError("%s: no training text has the label %r of this text; expected one of the %d "
                                    "classes %s" % (place, label, len(classes), _listed(sorted(classes))))


def _listed(names, most=8):
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")


def _rows(part, chosen):
    return LabelledTexts(*[[values[row] for row in np.flatnonzero(chosen)] for values in part])


# -- folders -----------------------------------------------------------------------------------------------------------

def _part_tables(folder):
    """Return the path of the table of each part: dict; empty if the folder has none."""
    tables = {}
    for name in sorted(os.listdir(folder)):
        match = TABLE_NAME.match(name)
        part = PART_NAMES.get(match.group(1).lower()) if match else None
        if part in tables:
            raise ReportedError("%s has two files for the %s part: %s and %s; expected one"
                                % (folder, part, os.path.basename(tables[part]), name))
        if part:
            tables[part] = os.path.join(folder, name)
    if tables and "train" not in tables:
        raise ReportedError("%s has %s, but no train.csv, train.tsv or train.jsonl"
                            % (folder, ", ".join(os.path.basename(path) for path in tables.values())))
    return tables


def _folders(folder):
    return [name for name in sorted(os.listdir(folder))
            if not name.startswith(".") and os.path.isdir(os.path.join(folder, name))]


def _read_classes(folder):
    """Read ``CLASS/*.txt``."""
    part = LabelledTexts([], [], [])
    classes = _folders(folder)
    if not classes:
        raise ReportedError("%s has neither tables nor folders; expected %s" % (folder, SOURCE_HELP))
    for label in classes:
        path = os.path.join(folder, label)
        names = [name for name in sorted(os.listdir(path)) if name.endswith(".txt") and not name.startswith(".")]
        if not names:
            raise ReportedError("%s has no file *.txt; expected the texts of the class %r" % (path, label))
        for name in names:
            place = os.path.join(path, name)
            _add(part, read_text(place), label, place)
    return part


# -- tables ------------------------------------------------------------------------------------------------------------

def _read_table(path, columns):
    match = TABLE_NAME.match(os.path.basename(path))
    if not match:
        raise ReportedError("%s is not a csv, tsv or jsonl file (by its name); expected %s" % (path, SOURCE_HELP))
    text = decode(decompressed(read_file(path), path.lower()), path)
    kind = match.group(2).lower()
    part = _read_json_lines(text, path, columns) if kind == "jsonl" else _read_rows(text, path, kind, columns)
    if not part.texts:
        raise ReportedError("%s has no texts; expected one labelled text per %s" % (
            path, "line" if kind == "jsonl" else "row"))
    return part


def _refuse_header(part):
    """Raise a `ReportedError` if the first line of a training table is a header that was read as a text."""
    label, place, counts = part.labels[0], part.places[0], collections.Counter(part.labels)
    is_alone = counts[label] == 1 < len(counts) and sum(count == 1 for count in counts.values()) == 1
    if is_alone and place.endswith(", line 1") and ".jsonl" not in os.path.basename(place).lower():
        raise ReportedError("%s: no other line has the label %r; if this line is a header, name its columns with "
                            "--text-column and --label-column, else remove it or add texts of this class"
                            % (place, label))


def _add(part, text, label, place):
    label = " ".join(label.split())
    if not label:
        raise ReportedError("%s: the label is empty; add it or remove the text" % place)
    if any("\ud800" <= character <= "\udfff" for character in label):
        raise ReportedError("%s: the label %r contains half of a character; correct it" % (place, label))
    part.texts.append(checked_document(text, place))
    part.labels.append(label)
    part.places.append(place)


def _read_json_lines(text, path, columns):
    part, keys = LabelledTexts([], [], []), None
    for number, line in enumerate(text.split("\n"), 1):
        place = "%s, line %d" % (path, number)
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ReportedError("%s: invalid JSON (%s); expected an object such as "
                                "{\"text\": \"...\", \"label\": \"...\"}" % (place, error)) from error
        if not isinstance(record, dict):
            raise ReportedError("%s: expected a JSON object such as {\"text\": \"...\", \"label\": \"...\"}, got %.40r"
                                % (place, record))
        if keys is None:
            found = _named_columns(list(record), columns)
            if found is None:
                raise ReportedError("%s: the keys of text and label are not known (%s); name them with --text-column "
                                    "and --label-column" % (place, _listed(list(record))))
            keys = [list(record)[index] for index in found.texts], list(record)[found.label]
        part_keys = keys[0] + [keys[1]]
        missing = [key for key in part_keys if key not in record]
        if missing:
            raise ReportedError("%s: the key %r is missing" % (place, missing[0]))
        wrong = [key for key in part_keys if not isinstance(record[key], (str, int, float))]
        if wrong:
            raise ReportedError("%s: the value of %r must be text, got %.40s"
                                % (place, wrong[0], json.dumps(record[wrong[0]])))
        _add(part, " ".join(str(record[key]) for key in keys[0]), _label(record[keys[1]]), place)
    return part


def _label(value):
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _read_rows(text, path, kind, columns):
    """Read a table of comma-separated (also semicolon) or tab-separated values."""
    rows = (_rows_of(text, path, delimiter=_delimiter(text, path)) if kind == "csv" else
            _tab_separated_rows(text, path))
    part = LabelledTexts([], [], [])
    if not rows:
        return part
    header = _named_columns(rows[0][1], columns)
    found = header or _numbered_columns(rows, columns, path)
    for place, row in rows[1 if header else 0:]:
        _add(part, " ".join(row[index] for index in found.texts), row[found.label], place)
    return part


def _tab_separated_rows(text, path):
    """Return the result of `_rows_of` for tab-separated values, in which quotes may belong to the texts."""
    as_texts = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    try:
        rows = _rows_of(text, path, delimiter="\t")
    except ReportedError:
        return _rows_of(text, path, **as_texts)
    if any("\n" in field for _, row in rows for field in row):
        # The quotes enclose line feeds, or belong to different texts: then each line is a row in itself.
        with contextlib.suppress(ReportedError):
            return _rows_of(text, path, **as_texts)
    return rows


def _delimiter(text, path):
    """Return the delimiter of a csv file: the one that divides the first line into most fields."""
    first = text.lstrip().split("\n", 1)[0]
    rows = {delimiter: next(csv_rows(first, path, strict=False, delimiter=delimiter), (path, []))[1]
            for delimiter in ",;\t"}
    return max(rows, key=lambda delimiter: len(rows[delimiter]))


def _rows_of(text, path, **form):
    """Return the rows that are not blank, with their places: list of (str, list of str); all have equal length."""
    rows, advice = [], "enclose a text in double quotes, and write a double quote in it twice"
    for place, row in csv_rows(text, path, advice, **form):
        if rows and row and len(row) != len(rows[0][1]):
            raise ReportedError("%s: expected %d columns, as in the first line, got %d; enclose a text that contains "
                                "the delimiter in double quotes" % (place, len(rows[0][1]), len(row)))
        if row:
            rows.append((place, row))
    if rows and len(rows[0][1]) < 2:
        raise ReportedError("%s: expected at least two columns, text and label, got one" % rows[0][0])
    return rows


def _named_columns(names, columns):
    """Return the indices of the columns by their names, or None if these are not the names of columns."""
    lower = [name.strip().lower() for name in names]

    def find(given, known):
        if given is not None:
            return [lower.index(name.strip().lower()) for name in given if name.strip().lower() in lower]
        return [lower.index(name) for name in known if name in lower][:1]

    texts, label = find(columns.texts, TEXT_NAMES), find(columns.label and [columns.label], LABEL_NAMES)
    other_is_free = columns.texts is None if label else columns.label is None
    if len(names) == 2 and len(texts) + len(label) == 1 and other_is_free:
        texts, label = texts or [1 - label[0]], label or [1 - texts[0]]
    if len(texts) < len(columns.texts or " ") or not label or label[0] in texts:
        return None
    return Columns(texts, label[0])


def _numbered_columns(rows, columns, path):
    """Return the indices of the columns of a table without a header."""
    count = len(rows[0][1])
    if columns == (None, None) and count == 2:
        # Labels are repeated, texts are not.
        different = [len({row[index] for _, row in rows}) for index in (0, 1)]
        label = 0 if different[0] < different[1] else 1
        return Columns([1 - label], label)
    given = [] if None in columns else list(columns.texts) + [columns.label]
    if given and all(name.isdigit() and 1 <= int(name) <= count for name in given) and len(set(given)) == len(given):
        return Columns([int(name) - 1 for name in columns.texts], int(columns.label) - 1)
    raise ReportedError("%s: cannot tell the columns of text and label from the first line (%s); give --text-column "
                        "and --label-column, by name or, if the file has no header, by number from 1 to %d"
                        % (path, ", ".join("%.30r" % name for name in rows[0][1][:8]), count))
