"""A typed client for the HTTP API: ``headwater.Client``, and ``headwater.AsyncClient`` for asyncio.

``calls`` says what is asked and how the answer is read, once for both; ``answers`` are the shapes that come
back. Imports nothing of Headwater but ``core``, so that it runs where no engine is installed.
"""
