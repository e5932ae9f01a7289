"""The command line: one module per command, shared options, and how errors become exit codes.

Heavy imports are inside the commands, so that `--help` is fast.
"""
