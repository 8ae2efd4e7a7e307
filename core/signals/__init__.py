"""From final bars to trade plans: pure functions, no clock, no files, no network."""
