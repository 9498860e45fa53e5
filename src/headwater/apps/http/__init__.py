"""The HTTP API of the live service: FastAPI over ``serving.service``. Start with ``app``.

``server`` runs it; ``routes`` has one module a noun; ``payloads`` says what goes in and out; ``problems``
turns errors into problem+json. The only importer of FastAPI, Starlette, uvicorn and prometheus_client.
"""
