"""Downloads from a local server, and refused downloads."""

import collections
import http.server
import os
import re
import threading

from theano_rnn.errors import ReportedError

import pytest

from Experiments.shared.data import download
from Experiments.shared.data.prepare import find_data_set

#: URL, class of the handler, and list of (path, first byte) of the requests.
Server = collections.namedtuple("Server", "url handler requests")
CONTENT_MD5 = "md5:f75b8179e4bbe7e2b4a074dcef62de95"


@pytest.fixture
def server(tmp_path, monkeypatch):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file.txt").write_bytes(b"content\n")

    class Handler(http.server.BaseHTTPRequestHandler):
        """Serves ranges; ends the connection after `cut` bytes of a file, once."""

        cut = None

        def do_GET(self):
            path = folder / self.path.lstrip("/")
            content = path.read_bytes() if path.exists() else None
            first = re.match(r"bytes=(\d+)-\Z", self.headers.get("Range", ""))
            begin = int(first.group(1)) if first and content is not None else 0
            outside = first and content is not None and begin >= len(content)
            self.send_response(404 if content is None else 416 if outside else 206 if first else 200)
            part = b"" if content is None or outside else content[begin:]
            self.send_header("Content-Length", str(len(part)))
            if outside:
                self.send_header("Content-Range", "bytes */%d" % len(content))
            self.end_headers()
            cut, Handler.cut = Handler.cut, None
            self.wfile.write(part[:cut])
            requests_.append((self.path, begin))

        def log_message(self, *_arguments):
            pass
    requests_ = []
    listening = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    yield Server("http://127.0.0.1:%d/" % listening.server_address[1], Handler, requests_)
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_fetch(server, tmp_path, capsys):
    pytest.importorskip("pooch")
    path = download.fetch(server.url + "file.txt", CONTENT_MD5, str(tmp_path / "cache"))
    assert path == str(tmp_path / "cache" / "file.txt")
    with open(path, "rb") as stream:
        assert stream.read() == b"content\n"
    for name, digest in (("file.txt", "md5:" + "0" * 32), ("nothing.txt", CONTENT_MD5)):
        with pytest.raises(ReportedError, match="downloading %s%s failed .*--source PATH" % (server.url, name)):
            download.fetch(server.url + name, digest, str(tmp_path / "other"))
        assert os.listdir(str(tmp_path / "other")) == []
    assert capsys.readouterr().err == ""


def test_a_partial_download_is_continued(server, tmp_path, monkeypatch):
    pytest.importorskip("pooch")
    monkeypatch.setattr(download, "CHUNK", 2)
    url, folder = server.url + "file.txt", tmp_path / "cache"
    server.handler.cut = 5
    with pytest.raises(ReportedError, match="downloading %s failed" % url):
        download.fetch(url, CONTENT_MD5, str(folder))
    assert [path.name for path in folder.iterdir()] == ["file.txt.part"]
    partial = (folder / "file.txt.part").read_bytes()
    assert partial in (b"cont", b"conte")
    download.fetch(url, CONTENT_MD5, str(folder))
    assert server.requests == [("/file.txt", 0), ("/file.txt", len(partial))]
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("file.txt", b"content\n")]


@pytest.mark.parametrize("partial, succeeds", [(b"content\n", True), (b"wrong", False), (b"longer than it", False)])
def test_a_partial_download_that_is_complete_or_wrong(partial, succeeds, server, tmp_path):
    pytest.importorskip("pooch")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "file.txt.part").write_bytes(partial)

    def fetch():
        return download.fetch(server.url + "file.txt", CONTENT_MD5, str(tmp_path / "cache"))
    if not succeeds:
        with pytest.raises(ReportedError, match="failed"):
            fetch()
        assert list((tmp_path / "cache").iterdir()) == []       # the next attempt starts again
    fetch()
    assert (tmp_path / "cache" / "file.txt").read_bytes() == b"content\n"


def test_downloads_give_an_archive_or_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda url, known_hash, folder: os.path.join(folder, os.path.basename(url)))
    assert download.fetch_all(find_data_set("IMDB").downloads, str(tmp_path)) == str(tmp_path / "aclImdb_v1.tar.gz")
    assert download.fetch_all(find_data_set("AGNews").downloads, str(tmp_path)) == str(tmp_path)
    names = [url.rsplit("/", 1)[1] for url, _ in find_data_set("Word_PTB").downloads]
    assert names == ["ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"]
    assert all(known.startswith("md5:") for dataset in ("IMDB", "AGNews", "Char_PTB", "Word_PTB")
               for _, known in find_data_set(dataset).downloads)
