"""Alerts on their way out: message texts (pure), Telegram, the console, and the delivery of the outbox."""
