"""Settings about access: each mistake told, all at once, and never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.apps.access.secret import read_secret
from headwater.apps.access.settings import AccessSettings, TlsSettings
from headwater.apps.access.trust import Trust
from headwater.apps.settings import SETTINGS
from headwater.core.errors import DataError
from headwater.store.credentials import Role
from tests.letters import says

OIDC = {"HEADWATER_OIDC_ISSUER": "https://login.bank.example", "HEADWATER_OIDC_AUDIENCE": "headwater"}


def test_nothing_set() -> None:
    assert AccessSettings.read({}) == AccessSettings(None, None, None, 5_000.0, 10_000)


def test_everything_set(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("hunter2\n", encoding="utf-8")
    found = AccessSettings.read(
        {
            **OIDC,
            "HEADWATER_TLS_CERTIFICATE": "a.pem",
            "HEADWATER_TLS_KEY": "k.pem",
            "HEADWATER_TLS_KEY_PASSWORD_FILE": str(password),
            "HEADWATER_TLS_MINIMUM": "1.3",
            "HEADWATER_OIDC_JWKS": "https://login.bank.example/keys",
            "HEADWATER_OIDC_ALGORITHMS": "ES256, RS512",
            "HEADWATER_OIDC_ROLES_CLAIM": "realm_access.roles",
            "HEADWATER_OIDC_ROLES": "risk-team=analyst, cn=ops,dc=bank=admin".replace(",dc", ";dc"),
            "HEADWATER_OIDC_LEEWAY": "5s",
            "HEADWATER_RATE": "50",
            "HEADWATER_BURST": "0",
        }
    )
    assert found.tls is not None
    assert found.tls.password is not None
    assert found.tls.password.reveal() == "hunter2"
    assert found.tls == TlsSettings(Path("a.pem"), Path("k.pem"), found.tls.password, "1.3")
    assert found.trust == Trust(
        "https://login.bank.example",
        "headwater",
        ("ES256", "RS512"),
        "realm_access.roles",
        {"risk-team": Role.ANALYST, "cn=ops;dc=bank": Role.ADMIN},
        5_000_000,
    )
    assert (found.jwks, found.rate, found.burst) == ("https://login.bank.example/keys", 50.0, 1)
    assert "hunter2" not in repr(found)


def test_no_leeway() -> None:
    trust = AccessSettings.read({**OIDC, "HEADWATER_OIDC_LEEWAY": "0s"}).trust
    assert trust is not None
    assert trust.leeway == 0


def test_all_mistakes_at_once() -> None:
    with says(
        DataError,
        """
        the setting HEADWATER_TLS_KEY cannot be read
          expected: a certificate and its key
          got:      one of the two
          where:    HEADWATER_TLS_KEY
          do:       set both, or neither
        the setting HEADWATER_OIDC_AUDIENCE cannot be read
          expected: an issuer and an audience
          got:      one of the two
          where:    HEADWATER_OIDC_AUDIENCE
          do:       set both: a token that names no audience could be one for another service
        the setting HEADWATER_RATE cannot be read
          expected: a whole number
          got:      'fast'
          where:    HEADWATER_RATE
          do:       correct it, or unset it
        the setting HEADWATER_BURST cannot be read
          expected: a whole number
          got:      '-1'
          where:    HEADWATER_BURST
          do:       correct it, or unset it
        """,
    ):
        AccessSettings.read(
            {
                "HEADWATER_TLS_CERTIFICATE": "a.pem",
                "HEADWATER_OIDC_ISSUER": "https://login.bank.example",
                "HEADWATER_RATE": "fast",
                "HEADWATER_BURST": "-1",
            }
        )


@pytest.mark.parametrize("algorithms", ["HS256", "none", "RS256,HS256", "rs256", ",", "ES256;RS256"])
def test_signatures_with_shared_secrets_cannot_be_set(algorithms: str) -> None:
    with says(
        DataError,
        f"""
        the setting HEADWATER_OIDC_ALGORITHMS cannot be read
          expected: some of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, Ed25519
          got:      {algorithms}
          where:    HEADWATER_OIDC_ALGORITHMS
          do:       name signatures with public keys only: whoever has a shared secret can make tokens
        """,
    ):
        AccessSettings.read({**OIDC, "HEADWATER_OIDC_ALGORITHMS": algorithms})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("HEADWATER_OIDC_LEEWAY", "1h"),
        ("HEADWATER_OIDC_LEEWAY", "soon"),
        ("HEADWATER_OIDC_ROLES", "risk-team"),
        ("HEADWATER_OIDC_ROLES", "risk-team=owner"),
        ("HEADWATER_OIDC_ROLES", "=admin"),
        ("HEADWATER_TLS_MINIMUM", "1.0"),
        ("HEADWATER_RATE", "²"),
        ("HEADWATER_RATE", "9" * 5000),
    ],
)
def test_other_mistakes(variable: str, text: str) -> None:
    with pytest.raises(DataError, match=f"the setting {variable} cannot be read"):
        AccessSettings.read({**OIDC, variable: text})


def test_every_setting_that_is_read_stands_in_the_reference() -> None:
    class Watched(dict[str, str]):
        asked: set[str]

        def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
            self.asked.add(key)
            return super().get(key, default)

    environ = Watched(OIDC, HEADWATER_TLS_CERTIFICATE="a.pem", HEADWATER_TLS_KEY="k.pem")
    environ.asked = set()
    AccessSettings.read(environ)
    assert environ.asked <= {setting.variable for setting in SETTINGS}
    assert len(environ.asked) == 14


# --- Secrets ---------------------------------------------------------------------------------------------


def test_a_secret_from_the_variable_or_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"hunter2 \xc3\xa9\r\n")
    assert read_secret("X", {}) is None
    assert read_secret("X", {"X": ""}) is None
    given = read_secret("X", {"X": "hunter2"})
    assert given is not None
    assert given.reveal() == "hunter2"
    filed = read_secret("X", {"X_FILE": str(file)})
    assert filed is not None
    assert filed.reveal() == "hunter2 é"


def test_both_is_a_mistake() -> None:
    with says(
        DataError,
        """
        the setting X cannot be read
          expected: X or X_FILE
          got:      both
          where:    X
          do:       unset one of them
        """,
    ):
        read_secret("X", {"X": "hunter2", "X_FILE": "file"})


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "nothing in it"),
        (b"\n", "nothing in it"),
        (b"\xff\xfe", "no text"),
        (b"x" * 70_000, "too much to be a secret"),
    ],
)
def test_files_that_hold_no_secret(tmp_path: Path, content: bytes, got: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(DataError, match=f"got:      {got}\n"):
        read_secret("X", {"X_FILE": str(file)})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got:      No such file or directory"):
        read_secret("X", {"X_FILE": str(tmp_path / "none")})
