"""Servers besides Tactical RMM's own, engines and proxies: where one is, and the way to it.

Over `errors` and `hidden`. `address` reads a URL and needs nothing; `tunnel` goes through a proxy.
`redis_link` is the only room that knows the library `redis` (extra `[redis]`), `nats_link` the only one that
knows `nats` (extra `[nats]`), loaded when such a server is asked for; `jetstream` is over the latter.
"""
