"""sequence_labeling/prepare_data.py: CoNLL-2000, the English Web Treebank and the Wall Street Journal part."""

from theano_rnn.errors import ReportedError

import pytest
from helpers import raw_corpora, running

from Experiments.shared.data.prepared_folder import folder_source
from Experiments.shared.data.tagged_sentences import load_tagged, parse_conllu

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


def conllu(words):
    """Return a sentence of CoNLL-U: words with their tags, with comments, a multiword token and an empty node."""
    lines = ["# sent_id = 1", "1-2\tboth" + 8 * "\t_"]
    lines += ["%d\t%s\tlemma\tX\t%s" % (number, word, tag) + 5 * "\t_" for number, (word, tag) in enumerate(words, 1)]
    return "\n".join(lines + ["2.1\tempty\t_\t_\tVB" + 5 * "\t_", "", ""])


def ewt_files(train=conllu([("do", "VBP"), ("n't", "RB")]) + conllu([("Go", "VB")])):
    return {"en_ewt-ud-train.conllu": train, "en_ewt-ud-dev.conllu": conllu([("do", "VB")]),
            "en_ewt-ud-test.conllu": conllu([("it", "PRP")])}


def test_script_prepares_the_english_web_treebank(tmp_path):
    source = raw_corpora.write_zip(tmp_path / "ewt.zip", ewt_files())
    arguments = ["--corpus", "ewt", "--source", source, "--data-dir", tmp_path / "ewt"]
    status, output, errors = raw_corpora.run_script("sequence_labeling", *arguments)
    assert (status, output) == (2, "") and "is not the published file: expected md5 fa98655390" in errors
    status, output, errors = raw_corpora.run_script("sequence_labeling", *(arguments + ["--no-checksum"]))
    assert (status, errors) == (0, "") and "train: 2 sentences, 3 tokens\nvalid: 1 sentences, 1 tokens\n" in output
    data = load_tagged(str(tmp_path / "ewt"))
    assert data.tags == ["PRP", "RB", "VB", "VBP"]
    assert raw_corpora.decoded_sentences(data, "train") == [[("do", "VBP"), ("n't", "RB")], [("Go", "VB")]]
    assert raw_corpora.decoded_sentences(data, "test") == [[("<unk>", "PRP")]]


@pytest.mark.parametrize("line, message", [
    ("1\tdo\tVB", "x, line 2: expected the 10 columns of CoNLL-U, got '1.tdo.tVB'"),
    ("1\tdo" + 8 * "\t_", "x, line 2: the word 'do' has no tag in the fifth column"),
    ("1.1\tdo" + 8 * "\t_", "x has no sentence; expected CoNLL-U")])
def test_conllu_with_problems(line, message):
    with pytest.raises(ReportedError, match=message):
        parse_conllu("# text\n%s\n" % line, "x")


def test_the_corpus_chooses_the_folder():
    experiment = running.load_experiment("sequence_labeling")
    folder = experiment.folder + "/data/"
    assert experiment.make_settings(corpus="ewt").data == folder + "ewt"
    assert experiment.make_settings(corpus="conll2000").data == folder + "conll2000"
    assert experiment.make_settings(corpus="ewt", data="/elsewhere").data == "/elsewhere"
    assert experiment.make_settings(True, corpus="ewt").data == folder + "demo"
    with pytest.raises(ReportedError, match="^corpus must be one of wsj, conll2000, ewt, got 'penn'$"):
        experiment.make_settings(corpus="penn")
    with pytest.raises(ReportedError, match="no tagged sentences in .*/ewt: run 'python prepare_data.py --corpus ewt'"):
        load_tagged(folder + "none/ewt")


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
