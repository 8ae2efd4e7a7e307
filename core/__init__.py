"""Trader_AI: a signal engine for crypto futures that ships its own lie detector."""

__version__ = "0.1.0"
