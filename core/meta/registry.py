"""Model folders on disk: written whole or not at all, read only as they were written. No file of one can run.

A folder holds `card.json`, further plain files and `SHA256SUMS` over all of them; its name is its id. What
a folder holds beyond that list is never opened.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from core.errors import ArtifactError

FORMAT = 1
CARD, SUMS = "card.json", "SHA256SUMS"
LARGEST_FILE = 64 * 2**20  # bytes
MOST_FILES = 100

_PART = ".part-"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_LINE = re.compile(rf"([0-9a-f]{{64}})  ({_NAME.pattern})")


@dataclass(frozen=True, slots=True)
class Folder:
    """A verified model folder. sha256: of its SHA256SUMS, so of all it holds. files: bytes by name."""

    id: str
    path: Path
    sha256: str
    card: dict[str, Any]
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Listed:
    """One folder of a root: verified, or why it cannot be used."""

    id: str
    folder: Folder | None
    error: str | None


def save(root: Path, card: Mapping[str, Any], files: Mapping[str, bytes]) -> Folder:
    """Write a model folder below `root`; its id follows from the time it was made and from what it holds.

    card: `created_ts` (ms UTC) and whatever the model needs; the format is added. A power cut at any moment
    leaves no folder of that name, or the whole one; the same content again gives the same folder.
    Raises ArtifactError for names that are not plain, and where the disk refuses.
    """
    text = json.dumps({**card, "format": FORMAT}, indent=1, sort_keys=True, allow_nan=False)
    contents = {**files, CARD: text.encode()}
    for name in contents:
        if not _NAME.fullmatch(name) or name == SUMS:
            raise ArtifactError(f"{name!r} cannot be the name of a model's file")
    sums = "".join(f"{_sha(contents[name])}  {name}\n" for name in sorted(contents)).encode()
    made = datetime.fromtimestamp(int(card["created_ts"]) / 1000, UTC)
    target = root / f"{made:%Y%m%d-%H%M}-{_sha(sums)[:8]}"
    try:
        if not target.exists():
            _write(root, target, {**contents, SUMS: sums})
    except OSError as error:
        raise ArtifactError(f"{target} cannot be written: {error.strerror or error}. See to the disk") from error
    return read(target)


def _write(root: Path, target: Path, contents: Mapping[str, bytes]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    part = root / f"{_PART}{os.getpid()}"
    part.mkdir()
    try:
        for name, data in contents.items():
            with (part / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _sync_folder(part)
        part.rename(target)
        _sync_folder(root)
    finally:
        shutil.rmtree(part, ignore_errors=True)  # there only if something went wrong before


def _sweep(root: Path) -> None:
    # What killed processes left; one that lives keeps its own.
    for left in root.glob(f"{_PART}*"):
        pid = left.name.removeprefix(_PART)
        if not pid.isdigit() or int(pid) == os.getpid() or not _alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path, sha256: str | None = None) -> Folder:
    """A model folder, every file held against its SHA-256.

    sha256: that of its SHA256SUMS as registered. Raises ArtifactError that says what is wrong and who acts.
    """
    sums = _bytes(path, SUMS)
    found = _sha(sums)
    if sha256 is not None and found != sha256:
        _refuse(path, "it is not the one that was registered")
    files = {name: _bytes(path, name) for name in _names(path, sums)}
    for name, expected in _names(path, sums).items():
        if _sha(files[name]) != expected:
            _refuse(path, f"{name} was changed or cut short after it was written")
    return Folder(path.name, path, found, _card(path, files), files)


def stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of a folder's files: whether it is worth another look. Empty where it is not there."""
    try:
        with os.scandir(path) as entries:
            return tuple(sorted((e.name, e.stat().st_size, e.stat().st_mtime_ns) for e in entries))
    except OSError:
        return ()


def listed(root: Path) -> list[Listed]:
    """All folders of a root by name, each verified."""
    if not root.is_dir():
        return []
    found = []
    for path in sorted(p for p in root.iterdir() if p.is_dir() and _NAME.fullmatch(p.name) and (p / SUMS).exists()):
        try:
            found.append(Listed(path.name, read(path), None))
        except ArtifactError as error:
            found.append(Listed(path.name, None, str(error)))
    return found


def _names(path: Path, sums: bytes) -> dict[str, str]:
    lines = [_LINE.fullmatch(line) for line in sums.decode("ascii", "replace").splitlines()]
    names = {line[2]: line[1] for line in lines if line is not None}
    if None in lines or len(names) != len(lines) or CARD not in names or SUMS in names or len(names) > MOST_FILES:
        _refuse(path, f"{SUMS} is not a list of this program's")
    return names


def _bytes(path: Path, name: str) -> bytes:
    file = path / name
    try:
        if path.is_symlink() or file.is_symlink() or not file.is_file():
            _refuse(path, f"{name} is missing" if path.is_dir() else "there is no such folder")
        if file.stat().st_size > LARGEST_FILE:
            _refuse(path, f"{name} is larger than any model's file")
        return file.read_bytes()
    except OSError as error:
        raise ArtifactError(f"model {path.name}: {name} cannot be read: {error.strerror or error}") from error


def _card(path: Path, files: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        card = json.loads(files[CARD])
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"model {path.name}: {CARD} is not JSON: {error}") from error
    if not isinstance(card, dict) or type(card.get("format")) is not int:
        _refuse(path, f"{CARD} is not one of this program's")
    if card["format"] > FORMAT:
        raise ArtifactError(
            f"model {path.name} was made by a newer program (format {card['format']}, this one knows {FORMAT}): "
            "update the program, or train a model with this one"
        )
    return card


def _refuse(path: Path, what: str) -> NoReturn:
    raise ArtifactError(
        f"model {path.name} cannot be used: {what} ({path}). Put the folder back as it was, or go back to the "
        "model before it: `python -m core models rollback`"
    )


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
