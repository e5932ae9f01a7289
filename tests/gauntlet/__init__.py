"""The gauntlet: faults of every kind, each played to the real command, each of which must end in a named outcome."""
