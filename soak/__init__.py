"""`make soak`: an hour's work, and what of it is still held in the end. See docs/performance.md."""
