"""Groups and streams for much work: what to write for which shape of it."""
