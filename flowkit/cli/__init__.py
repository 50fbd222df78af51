"""The command line ``flowkit``: one file a verb, which parses, calls and prints.

What a verb does is a function of the library; here is only how it is asked for and
how it is shown. Data goes to stdout, talk to stderr. Needs the extra ``cli``.
"""
