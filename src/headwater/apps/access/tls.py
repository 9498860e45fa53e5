"""How the server proves itself: its TLS context, made and checked before it listens.

Called by ``headwater serve``, which hands the context to the server.
"""

from __future__ import annotations

import ssl

from headwater.apps.access.settings import TlsSettings
from headwater.core.errors import AccessError

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# Of TLS 1.2: forward secrecy and authenticated encryption. TLS 1.3 has no others.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def context(settings: TlsSettings) -> ssl.SSLContext:
    """The server's TLS context.

    Raises:
        AccessError: certificate and key cannot be read, or do not belong together; with no part of the key
            or its password in it.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = _VERSIONS[settings.minimum]
    made.set_ciphers(_CIPHERS)
    made.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    password = settings.password
    try:
        # A function, never None: OpenSSL would ask on the terminal, and the server would hang.
        made.load_cert_chain(
            settings.certificate, settings.key, lambda: password.reveal() if password else ""
        )
    except (OSError, ValueError) as error:
        raise AccessError.of(
            "the server's certificate and key cannot be used",
            expected="PEM files that belong together, and the key's password if it has one",
            got=getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__,
            where=f"{settings.certificate}, {settings.key}",
            do="look at HEADWATER_TLS_CERTIFICATE, HEADWATER_TLS_KEY and HEADWATER_TLS_KEY_PASSWORD_FILE",
        ) from None
    return made
