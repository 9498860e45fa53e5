"""``/docs``: the API's reference, to be read and tried in a browser; whole without a network.

Swagger UI comes out of a package (``fastapi-offline``), so that nothing is fetched from elsewhere, and the
page needs no more of a browser than scripts and styles of this server: no inline script, no ``eval``, no
other host. Called by ``app``; the document that it shows is ``/openapi.json``.
"""

from __future__ import annotations

from html import escape
from importlib import resources
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

router = APIRouter(include_in_schema=False)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon.png": "image/png",
}
PATHS = frozenset({"/docs", "/docs/start.js", *(f"/docs/{name}" for name in FILES)})

_FOLDER = Path(str(resources.files("fastapi_offline"))) / "static"
_KEPT = {"cache-control": "public, max-age=86400"}
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" type="image/png" href="docs/favicon.png">
</head>
<body>
<div id="reference"></div>
<noscript>This page needs scripts. What it shows is in <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout"
});
"""


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """The page."""
    return HTMLResponse(
        _PAGE.format(title=escape(request.app.title)), headers={"content-security-policy": POLICY}
    )


@router.get("/docs/start.js")
async def get_start() -> Response:
    """What begins it."""
    return Response(_START, media_type="text/javascript", headers=_KEPT)


def _add_file(name: str) -> None:
    """A file of the package has a route of its own, so that no others can be asked for."""

    @router.get(f"/docs/{name}")
    async def get_file() -> Response:
        return FileResponse(_FOLDER / name, media_type=FILES[name], headers=_KEPT)


for _name in FILES:
    _add_file(_name)
