"""Remembers what outlives a moment: the inbox of events, behind a port."""
