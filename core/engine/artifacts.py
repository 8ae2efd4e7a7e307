"""Loaded models of one process, and which folder stands behind an entry of the promotion history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import ArtifactError
from core.meta import artifact, registry
from core.meta.artifact import Artifact
from core.store.models import Promotion, standing

Key = tuple[str, str]  # id, sha256
KEPT = 4  # loaded models held in memory


@dataclass
class Models:
    """Models by id and SHA-256: what is in memory is that content, whatever becomes of its folder.

    waiting: since when (ms) a symbol's decisions wait for the inputs of its features.
    """

    loaded: dict[Key, Artifact] = field(default_factory=dict)
    broken: dict[Key, tuple[object, str]] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)

    def get(self, promotion: Promotion, root: Path) -> Artifact:
        """The model of a promotion. Raises ArtifactError; a folder that failed is read again once it changed."""
        id = promotion.model or ""
        return self.read(id, promotion.sha256, place(promotion.path, root, id))

    def read(self, id: str, sha256: str, path: Path) -> Artifact:
        """A registered model, from memory or from its folder. Raises ArtifactError."""
        if (id, sha256) not in self.loaded:
            self._load((id, sha256), path)
        return self.loaded[id, sha256]

    def usable(
        self, history: Sequence[Promotion], root: Path, failed: Callable[[Promotion, str], None]
    ) -> Artifact | None:
        """The governing model, or where it cannot be loaded the last good one before it; None where none can.

        history: up to the governing entry, oldest first. failed: told of each that cannot, and why.
        """
        for entry in reversed(standing(history)):
            try:
                return self.get(entry, root)
            except ArtifactError as error:
                failed(entry, str(error))
        return None

    def _load(self, key: Key, path: Path) -> None:
        stamp = registry.stamp(path)
        known = self.broken.get(key)
        if known is not None and known[0] == stamp:
            raise ArtifactError(known[1])
        try:
            found, _ = verified(path, key[1])
        except ArtifactError as error:
            self.broken[key] = stamp, str(error)
            raise
        self.broken.pop(key, None)
        while len(self.loaded) >= KEPT:
            del self.loaded[next(iter(self.loaded))]
        self.loaded[key] = found


def verified(path: Path, sha256: str | None = None) -> tuple[Artifact, str]:
    """A model folder, verified, read and asked its self-check, and its SHA-256. Raises ArtifactError."""
    folder = registry.read(path, sha256)
    return artifact.unpack(folder.id, folder.card, folder.files), folder.sha256


def place(path: str, root: Path, id: str) -> Path:
    """Where a registered folder lies: as registered, or below `models.meta.model_path` after a move."""
    return Path(path) if path and Path(path).is_dir() else root / id
