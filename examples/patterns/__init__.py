"""One runnable flow for each workflow control-flow pattern.

python -m examples.patterns.wcp07_structured_synchronizing_merge
"""
