"""The part that decides: from a definition, a marking and a record to commands.

Imports the standard library and :mod:`flowkit.errors` only. It reads no clock,
draws no random number and does no I/O, so the same records on a fresh marking
give the same commands, live or replayed.
"""
