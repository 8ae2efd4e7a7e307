"""The precision filter: what may pass, and the proof that it tells the truth."""
