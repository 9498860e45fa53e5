"""TLS: what the server speaks, tried over a socket."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from headwater.apps.access.settings import TlsSettings
from headwater.apps.access.tls import context
from headwater.core.errors import AccessError
from headwater.core.secret import Secret
from tests.letters import says

PASSWORD = "hunter2hunter2"  # noqa: S105 - of a key made for one test


def made(folder: Path, password: str | None = None) -> TlsSettings:
    """A certificate of its own for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    sealed: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        sealed = serialization.BestAvailableEncryption(password.encode())
    (folder / "a.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "k.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)
    )
    return TlsSettings(folder / "a.pem", folder / "k.pem", None if password is None else Secret(password))


def spoken(server: ssl.SSLContext, trusted: Path, newest: ssl.TLSVersion) -> str | None:
    """The version that a client and the server agree on."""
    client = ssl.create_default_context(cafile=str(trusted))
    client.maximum_version = newest
    ours, theirs = socket.socketpair()

    def answer() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as wrapped:
                wrapped.recv(1)
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname="localhost") as wrapped:
            return wrapped.version()
    finally:
        ours.close()
        thread.join()


def test_the_newest_version_is_spoken(tmp_path: Path) -> None:
    settings = made(tmp_path)
    server = context(settings)
    assert spoken(server, settings.certificate, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert spoken(server, settings.certificate, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"


def test_an_older_version_than_the_minimum_is_refused(tmp_path: Path) -> None:
    settings = made(tmp_path)
    server = context(TlsSettings(settings.certificate, settings.key, minimum="1.3"))
    with pytest.raises(ssl.SSLError):
        spoken(server, settings.certificate, ssl.TLSVersion.TLSv1_2)
    assert spoken(server, settings.certificate, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def test_only_good_ciphers(tmp_path: Path) -> None:
    names = [one["name"] for one in context(made(tmp_path)).get_ciphers()]
    assert len(names) > 4
    assert [name for name in names if "GCM" not in name and "CHACHA20" not in name] == []
    assert [name for name in names if not name.startswith(("TLS_", "ECDHE-"))] == []


def test_a_key_with_a_password(tmp_path: Path) -> None:
    settings = made(tmp_path, PASSWORD)
    assert spoken(context(settings), settings.certificate, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


@pytest.mark.parametrize("password", [None, Secret("another"), Secret("")])
def test_a_wrong_password_is_not_asked_for_and_not_told(tmp_path: Path, password: Secret | None) -> None:
    settings = made(tmp_path, PASSWORD)
    with pytest.raises(AccessError) as caught:
        context(TlsSettings(settings.certificate, settings.key, password))
    assert "another" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_such_file(tmp_path: Path) -> None:
    settings = TlsSettings(tmp_path / "a.pem", tmp_path / "k.pem")
    with says(
        AccessError,
        f"""
        the server's certificate and key cannot be used
          expected: PEM files that belong together, and the key's password if it has one
          got:      No such file or directory
          where:    {settings.certificate}, {settings.key}
          do:       look at HEADWATER_TLS_CERTIFICATE, HEADWATER_TLS_KEY and HEADWATER_TLS_KEY_PASSWORD_FILE
        """,
    ):
        context(settings)


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, other = made(tmp_path), made(tmp_path / "other")
    with pytest.raises(AccessError, match="KEY_VALUES_MISMATCH"):
        context(TlsSettings(one.certificate, other.key))
