"""The store in a SQLite file, by apsw; SQL is in ``queries.sql`` and ``migrations``."""
