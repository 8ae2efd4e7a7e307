"""Who is told and who may ask: chats with their roles, who keeps it quiet, and what the owner really did."""

from collections.abc import Mapping
from typing import Any

from core.store.candles import Con
from core.store.signals import row_dicts

OWNER, VIEWER, CHANNEL = "owner", "viewer", "channel"


def sync(con: Con, roles: Mapping[str, str]) -> list[tuple[str, str]]:
    """Bring the table to the configured roles by chat; returns (chat, what) for each change.

    What still waits for a chat that is out of the configuration is not sent any more.
    """
    known = dict(con.execute("SELECT chat, role FROM chats WHERE active"))
    _new_home(con, next((chat for chat, role in roles.items() if role == OWNER), None))
    for chat, role in roles.items():
        con.execute(
            "INSERT INTO chats (chat, role, active) VALUES (?, ?, 1) "
            "ON CONFLICT DO UPDATE SET role = excluded.role, active = 1",
            (chat, role),
        )
    for chat in known.keys() - roles.keys():
        con.execute("UPDATE chats SET active = 0 WHERE chat = ?", (chat,))
        con.execute(
            "UPDATE copies SET state = 'expired' WHERE chat = ? AND state IN ('queued', 'sending', 'unknown')", (chat,)
        )
    told = [(chat, role) for chat, role in roles.items() if known.get(chat) != role]
    return told + [(chat, "none") for chat in sorted(known.keys() - roles.keys())]


def _new_home(con: Con, home: str | None) -> None:
    # Ids of messages count within one chat: in another they would name, and an edit would overwrite, something else.
    changed = "UPDATE chats SET role = 'viewer', active = 0 WHERE role = 'owner' AND chat <> ?"
    if home is not None and con.execute(changed, (home,)).rowcount:
        con.execute("UPDATE alerts SET message_id = NULL WHERE message_id IS NOT NULL")


def muted_until(con: Con, chat: str) -> int:
    """Until when (ms UTC) a chat wants no sound; 0 where it never said so."""
    found = con.execute("SELECT muted_until FROM chats WHERE chat = ?", (chat,)).fetchone()
    return int(found[0]) if found else 0


def mute(con: Con, chat: str, until: int) -> None:
    """Keep a chat without a sound until then (ms UTC); 0: no longer."""
    con.execute("UPDATE chats SET muted_until = ? WHERE chat = ?", (until, chat))


def taken(con: Con, signal: int) -> dict[str, Any] | None:
    """What the owner did with a plan (row number), or None."""
    found = row_dicts(con.execute("SELECT * FROM taken WHERE signal = ?", (signal,)))
    return found[0] if found else None


def take(con: Con, signal: int, who: str, ts: int, price: float, exit_price: float | None = None) -> None:
    """Write down an entry, and an exit where there is one; what was said before is replaced."""
    con.execute(
        "INSERT INTO taken (signal, who, ts, price, exit_ts, exit_price) VALUES (?1, ?2, ?3, ?4, "
        "CASE WHEN ?5 IS NULL THEN NULL ELSE ?3 END, ?5) ON CONFLICT DO UPDATE SET who = excluded.who, "
        "ts = CASE WHEN price = excluded.price THEN ts ELSE excluded.ts END, price = excluded.price, "
        "exit_ts = excluded.exit_ts, exit_price = excluded.exit_price",
        (signal, who, ts, price, exit_price),
    )


def untake(con: Con, signal: int) -> None:
    """Take it back."""
    con.execute("DELETE FROM taken WHERE signal = ?", (signal,))
