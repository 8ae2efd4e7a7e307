"""The doors: command lines parsed, answers printed. Every decision is made below, in the engine."""
