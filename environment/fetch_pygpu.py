"""Download Debian 11's packages of pygpu and libgpuarray, and unpack them into the folder of the CUDA back-end.

usage: fetch_pygpu.py SCRATCH CUDA_HOME

They are the last release that Theano 1.0.5 works with, compiled for CPython 3.9. The packages are downloaded from the
machine's own Debian mirrors or, because a mirror may have dropped them, from Debian's servers. A Debian package is an
``ar`` archive, so the standard library is sufficient where there is no dpkg.
"""

import glob
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request

#: SHA-256 digests by file name.
PACKAGES = {
    "libgpuarray3_0.7.6-5+b3_amd64.deb": "9dd6de9d4764ceec696e89c0b015c2e2beb04f1423bd6dc2fc12bb2bc5277ce2",
    "libgpuarray-dev_0.7.6-5+b3_amd64.deb": "e7f16054e81c1f4a3da321b2a6e5f280b0225bb15ceef6f10370220b977b4312",
    "python3-pygpu_0.7.6-5+b3_amd64.deb": "9b92287eaf221cd89267c47139954ba514f86ff1cd3f0c38f0b81cf73e8f06a5",
}
SERVERS = ["http://deb.debian.org/debian", "http://archive.debian.org/debian",
           "http://snapshot.debian.org/archive/debian/20220101T000000Z"]
LIBRARIES = ["libgpuarray.so.3.0", "libgpuarray.so.3", "libgpuarray.so"]


def mirrors(apt="/etc/apt"):
    """Return the URLs where the packages may be: the mirrors that apt uses, then Debian's servers, each once."""
    urls = []
    for name in [os.path.join(apt, "sources.list")] + sorted(glob.glob(os.path.join(apt, "sources.list.d", "*"))):
        try:
            with open(name) as stream:
                urls += re.findall(r"https?://[^\s\]]+/debian(?=/?\s)", stream.read())
        except (OSError, UnicodeDecodeError):
            pass
    return list(dict.fromkeys(urls + SERVERS))


def fetch(name, digest, urls):
    """Return the content of a package from the first URL that has it.

    Raises
    ------
    LookupError
        If no URL has the package with this digest. The message has one line per URL.
    """
    failures = []
    for mirror in urls:
        url = "%s/pool/main/libg/libgpuarray/%s" % (mirror, name)
        try:
            with urllib.request.urlopen(url, timeout=60) as stream:
                content = stream.read()
        except (OSError, ValueError) as error:
            failures.append("%s: %s" % (url, error))
            continue
        if hashlib.sha256(content).hexdigest() == digest:
            return content
        failures.append("%s: the SHA-256 differs from the pinned one" % url)
    raise LookupError("\n".join(failures))


def unpack(content, folder):
    """Unpack the files of a Debian package into a folder.

    Parameters
    ----------
    content : bytes
        The package: an ``ar`` archive whose member ``data.tar.*`` holds the files.
    folder : str
    """
    position = len("!<arch>\n")
    while position < len(content):
        header = content[position:position + 60]
        size = int(header[48:58])
        if header.startswith(b"data.tar"):
            with tarfile.open(fileobj=io.BytesIO(content[position + 60:position + 60 + size])) as archive:
                archive.extractall(folder)
        position += 60 + size + size % 2


def unpack_with_dpkg(content, folder):
    """Unpack the files of a Debian package into a folder with dpkg, which knows every compression."""
    path = os.path.join(folder, "package.deb")
    with open(path, "wb") as stream:
        stream.write(content)
    subprocess.check_call(["dpkg", "-x", path, folder])
    os.remove(path)


def install(unpacked, home):
    """Move the headers, pygpu and libgpuarray from the unpacked packages to the folder of the back-end."""
    for source, folder in [("usr/include", "include"), ("usr/lib/python3/dist-packages/pygpu", "python/pygpu")]:
        target = os.path.join(home, folder)
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(os.path.join(unpacked, source), target)
    os.makedirs(os.path.join(home, "lib"), exist_ok=True)
    for name in LIBRARIES:
        shutil.move(os.path.join(unpacked, "usr/lib", name), os.path.join(home, "lib", name))


def add_to_path(folder, packages):
    """Let Python find the modules of a folder: write a ``.pth`` file into the folder of the installed packages."""
    with open(os.path.join(packages, "cuda.pth"), "w") as stream:
        stream.write(os.path.relpath(folder, packages) + "\n")


def main(scratch, home):
    """Install the packages into `home`; `scratch` is a folder for temporary files."""
    urls = mirrors()
    for name, digest in PACKAGES.items():
        try:
            content = fetch(name, digest, urls)
        except LookupError as error:
            sys.exit(str(error))
        (unpack_with_dpkg if shutil.which("dpkg") else unpack)(content, scratch)
    install(scratch, home)
    add_to_path(os.path.join(home, "python"), sysconfig.get_paths()["purelib"])


if __name__ == "__main__":
    main(*sys.argv[1:])
