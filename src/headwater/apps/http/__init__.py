"""The HTTP API (FastAPI). Start with ``app``; ``security`` says who may ask."""
