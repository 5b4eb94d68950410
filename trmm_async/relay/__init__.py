"""Events read once and told to many, over Redis Streams or NATS JetStream.

Over the rooms of `stream` and `engines`, below `client`. `store` says what a relay needs of an engine,
`redis_store` and `nats_store` have it. `relay` reads the server and writes, `follower` reads
what was written. `entrance` is how users come in; nothing of an engine's library is loaded before.
"""
