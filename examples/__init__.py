"""Programs a reader can run and copy from."""
