"""The key that commands send to a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.apps.cli.remote import service
from headwater.core.errors import DataError


def test_commands_send_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HEADWATER_API_KEY", "HEADWATER_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    with service("http://127.0.0.1:1") as client:
        assert "authorization" not in client._http.headers
    file = tmp_path / "key"
    file.write_text("hw_x\n")
    monkeypatch.setenv("HEADWATER_API_KEY_FILE", str(file))
    with service("http://127.0.0.1:1") as client:
        assert client._http.headers["authorization"] == "Bearer hw_x"
    monkeypatch.setenv("HEADWATER_API_KEY", "hw_y")
    with pytest.raises(DataError), service("http://127.0.0.1:1"):
        pass
