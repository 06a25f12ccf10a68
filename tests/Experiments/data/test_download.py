"""Downloads from a local server, and refused downloads."""

import http.server
import os
import threading

from theano_rnn.errors import ReportedError

import pytest

from Experiments.shared.data import download
from Experiments.shared.data.prepare import find_data_set


@pytest.fixture
def server(tmp_path, monkeypatch):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file.txt").write_bytes(b"content\n")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path):
            return str(folder) + path

        def log_message(self, *_arguments):
            pass
    listening = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    yield "http://127.0.0.1:%d/" % listening.server_address[1]
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_fetch(server, tmp_path, capsys):
    pytest.importorskip("pooch")
    known_hash = "md5:f75b8179e4bbe7e2b4a074dcef62de95"
    path = download.fetch(server + "file.txt", known_hash, str(tmp_path / "cache"))
    assert path == str(tmp_path / "cache" / "file.txt")
    with open(path, "rb") as stream:
        assert stream.read() == b"content\n"
    for name, digest in (("file.txt", "md5:" + "0" * 32), ("nothing.txt", known_hash)):
        with pytest.raises(ReportedError, match="downloading %s%s failed .*--source PATH" % (server, name)):
            download.fetch(server + name, digest, str(tmp_path / "other"))
        assert os.listdir(str(tmp_path / "other")) == []
    assert capsys.readouterr().err == ""


def test_downloads_give_an_archive_or_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda url, known_hash, folder: os.path.join(folder, os.path.basename(url)))
    assert download.fetch_all(find_data_set("IMDB").downloads, str(tmp_path)) == str(tmp_path / "aclImdb_v1.tar.gz")
    assert download.fetch_all(find_data_set("AGNews").downloads, str(tmp_path)) == str(tmp_path)
    names = [url.rsplit("/", 1)[1] for url, _ in find_data_set("Word_PTB").downloads]
    assert names == ["ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"]
    assert all(known.startswith("md5:") for dataset in ("IMDB", "AGNews", "Char_PTB", "Word_PTB")
               for _, known in find_data_set(dataset).downloads)
