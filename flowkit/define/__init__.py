"""Front ends: each turns what an author writes into a definition and functions."""
