"""The application: order and policy. No mathematics, no SQL text."""
