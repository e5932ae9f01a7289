"""The command line: one module a command, the options that they share, and how errors become exit codes.

Heavy imports wait inside the commands, so that `--help` answers at once.
"""
