"""Who asks, and what they may: keys, tokens of an identity provider, roles, rates. Knows nothing of HTTP.

::

    credential -> door.Access -> store.credentials   a key of ours
                              -> tokens.Tokens       a bearer token, with a key of keyring.KeyRing
               -> principal.Principal, with roles    -> rate.RateLimiter

Set by ``settings``; ``tls`` says how the server proves itself. Called by ``apps.http.security``, which reads
requests. Start with ``door``.
"""
