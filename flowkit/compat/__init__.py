"""Paths under which other libraries' users know what flowkit offers."""
