"""What is optional: libraries that an extra brings, looked for before anything is imported.

Called where the command line or the server first needs one; what stands behind it is imported then.
"""

from __future__ import annotations

from importlib import util

from headwater.core.errors import MissingExtraError


def need(package: str, extra: str, *, module: str = "", name: str = "", instead: str = "") -> None:
    """See that a library is installed.

    Args:
        package: as pip knows it.
        extra: of ours, which brings it.
        module: as Python imports it, if that is not the package's name.
        name: as people call it, if that is not the package's name.
        instead: what else may be done, in words.

    Raises:
        MissingExtraError: it is not.
    """
    if util.find_spec(module or package) is None:
        raise MissingExtraError.of(
            f"{name or package} is not installed",
            expected=f"the package {package}",
            do=f"pip install 'headwater[{extra}]'" + (f", or {instead}" if instead else ""),
        )
