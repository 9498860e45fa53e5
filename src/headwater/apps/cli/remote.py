"""A running service as a command sees it: the option that names it, and its errors as the command line's.

Called by ``decide``, ``status`` and ``bench load``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from headwater.apps.access.secret import read_secret
from headwater.apps.settings import environment
from headwater.client.failures import ApiError, UnreachableError
from headwater.client.sync import URL, Client
from headwater.core.errors import DataError, StoreError

_SERVER = 500
_BUSY = 429

WHERE = click.option("--url", default=URL, show_default=True, help="Where `headwater serve` listens.")


@contextmanager
def service(url: str, how: str = "with --url") -> Iterator[Client]:
    """A client of the service, with the key of HEADWATER_API_KEY or its file, if one is set.

    Args:
        url: of the service.
        how: the command names it.

    Raises:
        DataError: the service refuses the request, or the key of HEADWATER_API_KEY cannot be read.
        StoreError: it cannot be reached, or cannot answer now.
    """
    try:
        key = read_secret("HEADWATER_API_KEY", environment())
        with Client(url, key=None if key is None else key.reveal()) as client:
            yield client
    except ApiError as error:
        ours = error.status >= _SERVER or error.status == _BUSY
        raise (StoreError if ours else DataError)(*error.problems) from error
    except UnreachableError as error:
        raise StoreError.of(
            "the service cannot be reached",
            got=error.problems[0].got,
            where=url,
            do=f"start it with `headwater serve`, or name it {how}",
        ) from error
