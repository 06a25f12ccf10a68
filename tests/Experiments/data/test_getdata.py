"""getdata.sh: corpora of the language models as text files."""

import os
import shutil
import subprocess

import pytest
from helpers import raw_corpora, running

from Experiments.language_modeling import prepare_data as getdata
from Experiments.shared.data import download
from Experiments.shared.data.demo import prepare_demo
from Experiments.shared.data.language_modeling import load_corpus
from Experiments.shared.data.prepared_folder import folder_source

TEXTS, write_corpus, getdata_sh = raw_corpora.LANGUAGE_TEXTS, raw_corpora.write_corpus, raw_corpora.run_getdata


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
    source = raw_corpora.write_zip(tmp_path / "wikitext-2-v1.zip",
                                   {"wiki.%s.tokens" % part: TEXTS[part] for part in TEXTS}, "wikitext-2/")
    arguments = ["wikitext-2", "--source", "wikitext-2-v1.zip", "--data-dir", tmp_path / "data"]
    status, output, errors = getdata_sh(*arguments, cwd=str(tmp_path))
    assert (status, errors) == (0, "") and "wikitext-2 written:" in output
    folder = tmp_path / "data" / "wikitext-2"
    before = running.folder_bytes(folder), os.stat(str(folder / "train.txt")).st_mtime
    assert len(load_corpus(str(folder)).vocabulary) == 5
    os.remove(source)
    status, output, errors = getdata_sh("wikitext-2", "--data-dir", tmp_path / "data")
    assert (status, output, errors) == (0, "%s is there and intact: nothing to do\n" % folder, "")
    assert (running.folder_bytes(folder), os.stat(str(folder / "train.txt")).st_mtime) == before
    status, output, errors = getdata_sh(*arguments, cwd=str(tmp_path))
    assert (status, output, errors) == (2, "", "error: source not found: wikitext-2-v1.zip; give an existing folder "
                                               "or file\n")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_digests_can_be_checked_with_sha256sum(tmp_path):
    prepare_demo("language_modeling", str(tmp_path / "demo"))
    assert subprocess.call(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=str(tmp_path / "demo")) == 0


@pytest.mark.parametrize("arguments, message", [
    (["pen"], "unknown corpus 'pen', expected penn or wikitext-2"),
    (["--source", "x"], "--source needs exactly one corpus, got 2: ./getdata.sh penn --source PATH"),
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
    assert folder_source(str(tmp_path / "wikitext-2")) == "downloaded, not compared with the published files"


def test_damaged_download_without_a_digest_is_removed(tmp_path, capsys, monkeypatch):
    path = tmp_path / "wikitext-2-v1.zip"
    path.write_bytes(b"<html>moved</html>")
    monkeypatch.setattr(download, "fetch", lambda *_arguments: str(path))
    with pytest.raises(SystemExit):
        getdata.main(["wikitext-2", "--data-dir", str(tmp_path / "data")])
    assert "is not a .zip" in capsys.readouterr().err and not path.exists()


def test_getdata_replaces_a_demo(tmp_path, capsys):
    prepare_demo("language_modeling", str(tmp_path / "penn"))
    source = write_corpus(tmp_path / "raw")
    getdata.main(["penn", "--source", source, "--data-dir", str(tmp_path), "--no-checksum"])
    assert "written" in capsys.readouterr().out and len(load_corpus(str(tmp_path / "penn")).vocabulary) == 5
