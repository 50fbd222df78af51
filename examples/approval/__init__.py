"""Expenses that people approve: in turn, by four eyes, across processes."""
