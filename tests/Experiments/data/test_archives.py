"""Archives: refusal of damaged ones; names of their files."""

from theano_rnn.errors import ReportedError

import pytest
from helpers import raw_corpora

from Experiments.IMDB import prepare_data as imdb
from Experiments.shared.data import archives


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
        imdb.read_imdb(str(path), check=False)


def test_tar_cut_between_two_members_is_refused(tmp_path):
    tree = raw_corpora.imdb_tree(tmp_path)
    path = tmp_path / "archive"
    raw_corpora.write_tar(path, tree, "aclImdb", "w")
    path.write_bytes(path.read_bytes()[:20 * 512])
    with pytest.raises(ReportedError, match="ends early or is damaged"):
        imdb.read_imdb(str(path), check=False)


def test_damage_in_the_directory_of_a_zip_hides_no_file(tmp_path):
    path = raw_corpora.write_zip(tmp_path / "archive.zip", {"pos/1.txt": "good", "neg/2.txt": "bad"}, "deep/")
    with open(str(path), "rb") as stream:
        content = bytearray(stream.read())
    expected = archives.read_archive(str(path), lambda name: name.endswith(".txt"))
    directory = content.index(b"PK\x01\x02")
    refused = 0
    for position in range(directory, len(content)):
        for value in (0, content[position] ^ 4):
            damaged = bytes(content[:position]) + bytes([value]) + bytes(content[position + 1:])
            (tmp_path / "damaged.zip").write_bytes(damaged)
            try:
                found = archives.read_archive(str(tmp_path / "damaged.zip"), lambda name: name.endswith(".txt"))
                assert found == expected, "byte %d" % position
            except ReportedError:
                refused += 1
    assert refused > 2 * len("deep/pos/1.txt")


def test_damaged_zip_member_is_refused(tmp_path):
    path = tmp_path / "archive.zip"
    raw_corpora.write_zip(path, raw_corpora.imdb_texts(), "aclImdb/")
    content = bytearray(path.read_bytes())
    content[80:90] = b"\xff" * 10
    path.write_bytes(bytes(content))
    with pytest.raises(ReportedError, match="archive.zip ends early or is damaged"):
        imdb.read_imdb(str(path), check=False)


def test_a_file_that_is_not_an_archive(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"<html>not found</html>")
    with pytest.raises(ReportedError, match="x.tar.gz is not a .zip, .tar, .tar.gz"):
        imdb.read_imdb(str(tmp_path / "x.tar.gz"))
    with pytest.raises(ReportedError, match="source not found: .*nowhere"):
        imdb.read_imdb(str(tmp_path / "nowhere"))


def test_names_of_a_source(tmp_path):
    files = {"a.txt": "1", "b.txt": "2"}
    archive = raw_corpora.write_zip(tmp_path / "x.zip", dict(files, **{"__MACOSX/._a.txt": "junk"}), "deep/")
    folder = raw_corpora.write_tree(tmp_path / "raw", files)
    tar = raw_corpora.write_tar(tmp_path / "x.tar.gz", folder, "deep", "w:gz")
    assert archives.source_names(archive) == archives.source_names(folder) == archives.source_names(tar) == set(files)


def test_git_blob_id():
    assert archives.git_blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
