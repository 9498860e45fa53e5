"""Certificates for a broker on this machine and its client, signed by an authority of their own (openssl).

``ca.pem`` whom to trust, ``server.pem`` the broker's key and certificate, ``client.pem`` and ``client.key``
its client's, the key under a password. For tests: the authority's key is thrown away. Called by ``kafka``.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tools.services.debian import program
from tools.services.process import ServiceError

KEY_PASSWORD = "for-tests-alone"  # noqa: S105 - of keys that are made for a test


def make_certificates(folder: Path) -> None:
    """Make them, unless they are there.

    Raises:
        ServiceError: openssl does not.
    """
    if (folder / "ca.pem").exists():
        return
    openssl = program("openssl", "openssl")

    def run(*arguments: str | Path) -> None:
        done = subprocess.run(  # noqa: S603 - our own arguments
            [openssl, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ServiceError(f"certificates cannot be made\n  said:  {done.stderr.strip()[-300:]}")

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-sha256")
    run(*new, "-x509", "-days", "30", "-subj", "/CN=Headwater tests", "-keyout", "ca.key", "-out", "new.pem")
    (folder / "names.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        run(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key.new", "-out", f"{name}.csr")
        signed = ("-CA", "new.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names.ext")
        run("x509", "-req", "-days", "30", "-in", f"{name}.csr", *signed, "-out", f"{name}.crt")
    key, certificate = (folder / "server.key.new").read_text(), (folder / "server.crt").read_text()
    (folder / "server.pem").write_text(key + certificate)
    (folder / "client.pem").write_text((folder / "client.crt").read_text())
    lock = ("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", f"pass:{KEY_PASSWORD}")
    run(*lock, "-in", "client.key.new", "-out", "client.key")
    for left in ("ca.key", "server.key.new", "client.key.new", "server.csr", "client.csr"):
        (folder / left).unlink()
    (folder / "new.pem").rename(folder / "ca.pem")
