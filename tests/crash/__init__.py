"""The proof that `kill -9` anywhere loses nothing: real processes that really die, real git, real sandbox."""
