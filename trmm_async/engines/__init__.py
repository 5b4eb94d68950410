"""Other people's servers that several processes share: where one is, and the way to it.

Over `errors` and `hidden`. `address` reads a URL and needs nothing; `redis_link` is the only room that knows
the library `redis` (extra `[redis]`), and is loaded when such a server is asked for.
"""
