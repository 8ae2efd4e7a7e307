"""The bot: who it talks to, what it answers (reads only), what it changes, and the thread it lives in."""
