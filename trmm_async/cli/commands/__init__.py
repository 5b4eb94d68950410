"""The commands, one file a noun. Each has `add_to(app)`. Nouns don't import each other."""

__all__: list[str] = []
