"""Damage: changed bytes, ``.npz`` files with other contents, archives and texts that nobody would write by accident."""

import gzip
import io
import json
import struct
import tarfile
import warnings
import zipfile
import zlib

from theano_rnn.npz_store import METADATA_MEMBER

import numpy as np

__all__ = ["damaged", "HUGE_INTEGER", "JSON_VALUES", "npz_bytes", "changed_arrays", "changed_metadata", "strange_npz",
           "damaged_text", "strange_archive", "zeros_member"]

HUGE_INTEGER = "9" * 400
#: Values that JSON can hold, of all kinds. Those in raw text are no values that `json.dumps` writes.
JSON_VALUES = (None, True, False, 0, 1, -1, 2 ** 31, 2 ** 63, 2 ** 64, int(HUGE_INTEGER), 0.5, -0.5, 1e-320, 1e308,
               float("nan"), float("inf"), "", "x", "1", "LLLCCL", u"\u0663", "\0", "a\nb", "x" * 100000, [], [[]],
               ["x"], ["x", "x"], [1, 2], {}, {"x": 1}, [None] * 3, [[["epoch", 1]]])
#: Bytes of zeros of a bomb: above what a case may take.
BOMB = 1536 * 2 ** 20


def damaged(content, random, others=()):
    """Return bytes that differ from the content by chance: flips, cuts, insertions, blocks, another file.

    Parameters
    ----------
    content : bytes
    random : random.Random
    others : sequence of bytes
        Files that may take its place.

    Returns
    -------
    title : str
    content : bytes
    """
    size, kind = len(content), random.choice(["flip"] * 6 + ["cut"] * 4 + ["start", "insert", "zero", "swap", "double",
                                                                            "empty", "noise", "other"])
    at = random.randrange(size) if size else 0
    end = min(size, at + random.choice([1, 8, 100, 5000]))
    changed = bytearray(content)
    if kind == "flip":
        for _ in range(random.choice([1, 1, 1, 2, 8])):
            changed[random.randrange(size)] ^= 1 << random.randrange(8)
    elif kind == "cut":
        changed = changed[:random.choice([at, size - 1, size - 22, size // 2])]
    elif kind == "start":
        changed = changed[at:]
    elif kind == "insert":
        changed[at:at] = bytes(random.randrange(256) for _ in range(random.choice([1, 3, 50])))
    elif kind == "zero":
        changed[at:end] = bytes(end - at)
    elif kind == "swap":
        changed = changed[end:] + changed[:end]
    elif kind == "double":
        changed = changed + changed
    elif kind == "empty":
        changed = b""
    elif kind == "noise":
        changed = bytes(random.randrange(256) for _ in range(300))
    elif others:
        changed = random.choice(others)
    return "%s at byte %d" % (kind, at), bytes(changed)


# -- .npz files --------------------------------------------------------------------------------------------------------

def npz_bytes(arrays, metadata, method=zipfile.ZIP_DEFLATED):
    """Return a file like those of `theano_rnn.npz_store.save_arrays`, without its checks.

    Arrays may be bytes (the member), and metadata may be text.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            if isinstance(array, bytes):
                member.write(array)
            else:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=True)
            archive.writestr(name + ".npy", member.getvalue())
        if metadata is not None:
            archive.writestr(METADATA_MEMBER, metadata if isinstance(metadata, str) else json.dumps(metadata))
    return content.getvalue()


def header(shape, dtype="<f4", version=b"\x01\x00"):
    """Return the header of an array of any shape."""
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode("latin1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text


def changed_arrays(arrays, random):
    """Return a title and arrays of which one is wrong; no reader must accept them."""
    name = random.choice(sorted(arrays))
    array, changed = arrays[name], dict(arrays)
    number = array.astype(object) if array.dtype.kind in "US" else array
    wrong = {
        "without": None, "scalar": number.ravel()[:1].sum() if array.size else np.float32(0),
        "more dimensions": array[None], "more rows": np.concatenate([array, array]) if array.ndim and array.size
        else np.zeros(3), "complex": array.astype(complex) if array.dtype.kind in "biuf" else np.zeros(1, complex),
        "half": array.astype("f2") if array.dtype.kind in "biuf" and array.dtype != "f2" else np.zeros((1, 1, 1), "f2"),
        "objects": np.array([{}, None]), "text": array.astype("U") if array.size < 1000 else np.array(["x"]),
        "dates": np.zeros(array.shape, "M8[s]"), "records": np.zeros(array.shape, "f4,i4"),
        "bytes without length": np.zeros(array.shape, "S0"), "long double": np.zeros(array.shape, np.longdouble),
        "bool": np.zeros(array.shape, bool) if array.dtype.kind != "b" else np.zeros(array.shape, np.int32),
        "not an array": b"not an array", "huge shape": header((4 * 10 ** 8,)), "negative": header((-1,)),
        "many dimensions": header((1,) * 40), "400 digits": header((int(HUGE_INTEGER),)),
        "overflow": header((2 ** 32, 2 ** 32)), "code in the header": header("__import__('os').abort()"),
        "format 9": header(array.shape, version=b"\x09\x00"), "pickle": b"\x80\x04K\x01."}
    if array.dtype.kind == "f" and array.size:
        for value in ("nan", "inf", "-inf"):
            wrong[value] = array.copy()
            wrong[value].flat[random.randrange(array.size)] = float(value)
    title = random.choice(sorted(wrong) + ["foreign", "renamed"])
    if title == "foreign":
        changed[random.choice(["foreign", "W", "../x", "/tmp/x", "lstm.W_hid.positions", ""])] = np.zeros(3, "f4")
    elif title == "renamed":
        changed[name + "x"] = changed.pop(name)
    elif title == "without":
        del changed[name]
    else:
        changed[name] = wrong[title]
    return "%s: %s" % (name, title), changed


def changed_metadata(metadata, random):
    """Return a title and metadata of which one value, at any depth, has another kind, or is missing."""
    changed = json.loads(json.dumps(metadata))
    parent, key = changed, random.choice(sorted(changed) or ["x"])
    while random.random() < 0.5 and isinstance(parent.get(key) if isinstance(parent, dict) else parent[key],
                                               (dict, list)):
        below = parent[key]
        keys = sorted(below) if isinstance(below, dict) else range(len(below))
        if not keys:
            break
        parent, key = below, random.choice(keys)
    if random.random() < 0.15:
        del parent[key]
        return "without %s" % key, changed
    parent[key] = random.choice(JSON_VALUES)
    return "%s = %.40r" % (key, parent[key]), changed


def strange_npz(arrays, metadata, random):
    """Return a title and a file that is no ``.npz`` file of this project at all."""
    kinds = {
        "no metadata": lambda: npz_bytes(arrays, None), "metadata {}": lambda: npz_bytes(arrays, {}),
        "metadata []": lambda: npz_bytes(arrays, "[]"), "metadata without end": lambda: npz_bytes(arrays, '{"epoch": '),
        "deep metadata": lambda: npz_bytes(arrays, "[" * 100000), "no arrays": lambda: npz_bytes({}, metadata),
        "metadata in Latin-1": lambda: npz_bytes(arrays, "{\"kind\": \"\u00e9\"}").replace(b"\xc3\xa9", b"\xe9\xe9"),
        "numpy's own": lambda: _numpy_npz(arrays), "twice the same": lambda: _twice(arrays, metadata),
        "encrypted": lambda: _flagged(npz_bytes(arrays, metadata), 1),
        "unknown method": lambda: _flagged(npz_bytes(arrays, metadata), method=97),
        "bomb": lambda: zeros_member(npz_bytes(arrays, metadata), "foreign.npy", BOMB),
        "bomb of metadata": lambda: zeros_member(npz_bytes(arrays, None), METADATA_MEMBER, BOMB),
        "a text": lambda: b"hello\n", "a tar": lambda: _tar([("x", b"1")]), "a pickle": lambda: b"cos\nabort\n(tR."}
    title = random.choice(sorted(kinds))
    return title, kinds[title]()


def _numpy_npz(arrays):
    content = io.BytesIO()
    np.savez(content, **{name: array for name, array in arrays.items() if name.isidentifier()})
    return content.getvalue()


def _twice(arrays, metadata):
    content = io.BytesIO(npz_bytes(arrays, metadata))
    with warnings.catch_warnings(), zipfile.ZipFile(content, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(METADATA_MEMBER, "{}")
    return content.getvalue()


def _flagged(content, flag=0, method=None):
    """Set a flag or the compression method of all members."""
    content = bytearray(content)
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        begin = content.find(signature)
        while begin >= 0:
            content[begin + at] |= flag
            if method is not None:
                content[begin + at + 2] = method
            begin = content.find(signature, begin + 4)
    return bytes(content)


_zeros = {}


def _deflated_zeros(size):
    """Return deflated zeros and their checksum, without deflating all of them."""
    if size not in _zeros:
        block = 16 * 2 ** 20
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        part = compressor.compress(bytes(block)) + compressor.flush(zlib.Z_FULL_FLUSH)
        checksum = 0
        for _ in range(size // block):
            checksum = zlib.crc32(bytes(block), checksum)
        _zeros[size] = part * (size // block) + zlib.compressobj(9, zlib.DEFLATED, -15).flush(), checksum
    return _zeros[size]


def zeros_member(archive, name, size):
    """Return a zip archive with one more member: zeros, compressed a thousand times."""
    compressed, checksum = _deflated_zeros(size)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        directory = opened.start_dir
    end = archive.rfind(b"PK\x05\x06")
    fields = struct.pack("<HHHHHIII", 20, 0, 8, 0, 33, checksum, len(compressed), size)
    member = b"PK\x03\x04" + fields + struct.pack("<HH", len(name), 0) + name.encode() + compressed
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack(
        "<HHHHHII", len(name), 0, 0, 0, 0, 0, directory) + name.encode()
    count, length = struct.unpack("<HI", archive[end + 10:end + 16])
    return (archive[:directory] + member + archive[directory:end] + entry + b"PK\x05\x06" + struct.pack(
        "<HHHHIIH", 0, 0, count + 1, count + 1, length + len(entry), directory + len(member), 0))


# -- archives and texts ------------------------------------------------------------------------------------------------

def _tar(members, mode="w:gz"):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, text in members:
            member = tarfile.TarInfo(name)
            if isinstance(text, tarfile.TarInfo):
                member = text
                archive.addfile(member)
                continue
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return content.getvalue()


def strange_archive(files, random):
    """Return a title, an archive of files with something unusual, and whether its files are still the same.

    Parameters
    ----------
    files : dict of str to bytes
    random : random.Random
    """
    members = sorted(files.items())
    mode = random.choice(["w:gz", "w:xz", "w:bz2", "w"])

    def link(kind, target):
        member = tarfile.TarInfo(random.choice(members)[0] + "x")
        member.type, member.linkname = kind, target
        return member

    def zipped(more=(), method=zipfile.ZIP_DEFLATED):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", method) as archive:
            for name, text in members + list(more):
                archive.writestr(name, text)
        return content.getvalue()

    escaping = [("../escaped.txt", b"x"), ("/tmp/escaped-by-archive.txt", b"x"), ("a/../../escaped.txt", b"x")]
    kinds = {
        "../": (lambda: _tar(members + escaping, mode), True), "../ in a zip": (lambda: zipped(escaping), True),
        "links": (lambda: _tar(members + [("", link(tarfile.SYMTYPE, "/etc/passwd")),
                                          ("", link(tarfile.LNKTYPE, "../x"))], mode), True),
        "devices": (lambda: _tar(members + [("", link(tarfile.CHRTYPE, "")), ("", link(tarfile.FIFOTYPE, ""))], mode),
                    True),
        "macOS": (lambda: zipped([("__MACOSX/._" + members[0][0], b"x")]), True),
        "stored": (lambda: zipped(method=zipfile.ZIP_STORED), True),
        "lzma": (lambda: zipped(method=zipfile.ZIP_LZMA), True),
        "encrypted": (lambda: _flagged(zipped(), 1), False),
        "unknown method": (lambda: _flagged(zipped(), method=97), False),
        "bomb": (lambda: zeros_member(zipped(), members[0][0], BOMB), False),
        "bomb beside": (lambda: zeros_member(zipped(), "beside.txt", BOMB), True),
        "tar bomb": (lambda: _tar_bomb(members, members[0][0]), False),
        "tar bomb beside": (lambda: _tar_bomb(members, "beside.txt"), False),
        "header bomb": (lambda: _tar_bomb(members, "x", tarfile.GNUTYPE_LONGNAME), False),
        "pax bomb": (lambda: _tar_bomb(members, "x", tarfile.XHDTYPE), False),
        "many": (lambda: _tar(members + [("%d" % number, b"") for number in range(20000)], "w:gz"), True),
        "empty": (lambda: _tar([], mode), False), "empty zip": (lambda: b"PK\x05\x06" + bytes(18), False),
        "not an archive": (lambda: b"<html>404</html>", False), "gzip of a text": (lambda: gzip.compress(b"hello"),
                                                                                  False)}
    title = random.choice(sorted(kinds))
    make, same = kinds[title]
    return title, make(), same


def _tar_bomb(members, name, kind=tarfile.REGTYPE):
    """Return a .tar.gz with a member of zeros, of any type."""
    bomb = tarfile.TarInfo(name)
    bomb.size, bomb.type = BOMB, kind
    start = _tar(members, "w").rstrip(b"\0")
    start += bytes(-len(start) % 512) + bomb.tobuf(tarfile.GNU_FORMAT)
    compressed, _ = _deflated_zeros(BOMB)
    parts = [gzip.compress(start)]
    checksum = zlib.crc32(b"")
    parts.append(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + compressed + struct.pack(
        "<II", _deflated_zeros(BOMB)[1] ^ checksum, BOMB & 0xffffffff))
    return b"".join(parts + [gzip.compress(bytes(1024))])


def damaged_text(content, random, separators="\t ,\"\n"):
    """Return a title and a text with something unusual: bytes that are not UTF-8, lines, separators, marks."""
    lines = content.split(b"\n")
    row = random.randrange(len(lines))
    separator = random.choice(separators).encode()
    changes = {
        "byte order mark": lambda: b"\xef\xbb\xbf" + content, "mark in a line": lambda: content[:9] + b"\xef\xbb\xbf"
        + content[9:], "UTF-16": lambda: content.decode("utf-8", "replace").encode("utf-16"),
        "not UTF-8": lambda: content[:len(content) // 2] + random.choice([b"\xff", b"\xc3", b"\xed\xa0\x80"])
        + content[len(content) // 2:], "NUL": lambda: content[:20] + b"\0" + content[20:],
        "carriage returns": lambda: content.replace(b"\n", b"\r\n"), "old Mac": lambda: content.replace(b"\n", b"\r"),
        "no end": lambda: content.rstrip(b"\n"), "empty": lambda: b"", "blank": lambda: b"\n \n\t\n",
        "doubled separator": lambda: content.replace(separator, separator * 2),
        "without separator": lambda: content.replace(separator, b""),
        "row twice": lambda: b"\n".join(lines[:row] + [lines[row]] * 2 + lines[row:]),
        "half a row": lambda: b"\n".join(lines[:row] + [lines[row][:len(lines[row]) // 2]] + lines[row + 1:]),
        "separator in a row": lambda: b"\n".join(lines[:row] + [lines[row] + separator] + lines[row + 1:]),
        "long row": lambda: content + b"x" * 3000000 + b"\n", "long field": lambda: content.replace(
            b"e", b"e" * 200000, 1), "open quote": lambda: content + b'"', "huge number": lambda: content.replace(
                b"1", HUGE_INTEGER.encode(), 1), "line separators": lambda: content.replace(
                    b"a", "\u2028\x85\x0b".encode("utf-8"), 2), "spaces": lambda: content.replace(b" ", b"\xc2\xa0")}
    title = random.choice(sorted(changes) + ["bytes"])
    return (title, changes[title]()) if title != "bytes" else damaged(content, random)
