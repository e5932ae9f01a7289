"""Strict loopback servers: they speak a provider's protocol, refuse what it refuses, and fail when told to."""
