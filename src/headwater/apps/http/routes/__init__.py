"""The routes, one module a noun. Called by ``app``, which says which role each of them needs."""
