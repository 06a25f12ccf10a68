"""sequence_labeling/prepare_data.py: CoNLL-2000 and the Wall Street Journal part."""

import pytest
from helpers import raw_corpora

from Experiments.shared.data.prepared_folder import folder_source
from Experiments.shared.data.tagged_sentences import load_tagged

CHUNKED = "The DT B-NP\ndog NN I-NP\n\nBark VB B-VP\n\n"


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
    data = load_tagged(str(tmp_path / "out"))
    assert data.tags == ["DT", "NN", "VB"] and \
        raw_corpora.decoded_sentences(data, "valid") == raw_corpora.decoded_sentences(data, "test")
    status, output, errors = raw_corpora.run_script("sequence_labeling", *arguments)
    assert status == 0 and "is there and intact" in output


def test_script_takes_the_wall_street_journal(tmp_path):
    source = raw_corpora.write_tagged(tmp_path / "licensed", tags="VBZ\nVB\nNN\nDT\n")
    status, _, errors = raw_corpora.run_script("sequence_labeling", "--source", source, "--data-dir", tmp_path / "wsj")
    assert (status, errors) == (0, "")
    copy, original = load_tagged(str(tmp_path / "wsj")), load_tagged(source)
    assert copy.vocabulary == original.vocabulary and copy.tags == original.tags
    assert folder_source(str(tmp_path / "wsj")) == "the Wall Street Journal part, a local copy"


@pytest.mark.parametrize("files, options, message", [
    (conll2000_files(), [], "is not the published file: expected md5 "),
    (conll2000_files(train="a DT B-NP\nb\n"), ["--no-checksum"], "train.txt of SOURCE, line 2: expected 'token tag ch"),
    (conll2000_files(train=CHUNKED), ["--no-checksum"], "has only 2 sentences, too few"),
    ({"test.txt": CHUNKED}, [], "folder SOURCE has no train.txt; expected train.txt, test.txt"),
])
def test_script_errors_are_one_line_and_leave_nothing(tmp_path, files, options, message):
    source = raw_corpora.write_tree(tmp_path / "raw", files)
    status, output, errors = raw_corpora.run_script("sequence_labeling", "--source", source, "--data-dir",
                                                   tmp_path / "out", *options)
    assert (status, output) == (2, "")
    assert errors.startswith("error: ") and errors.count("\n") == 1 and message.replace("SOURCE", source) in errors
    assert not (tmp_path / "out").exists()
