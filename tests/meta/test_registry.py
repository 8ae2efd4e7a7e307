"""Model folders: whole or not at all, read only as written, and never anything that runs."""

import json
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.engine import artifacts
from core.errors import ArtifactError
from core.meta import registry
from core.meta.artifact import Plans
from core.meta.registry import CARD, SUMS, Folder
from core.meta.samples import TARGETS
from core.signals.features import NAMES
from tests.law import rules
from tests.law.tree import module, modules
from tests.meta import toy_models as toys


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return toys.save(tmp_path_factory.mktemp("models"))


@pytest.fixture()
def folder(made: Folder, tmp_path: Path) -> Folder:
    shutil.copytree(made.path, tmp_path / made.id)
    return registry.read(tmp_path / made.id)


def plans(n: int) -> Plans:
    return Plans(np.full(n, 1.0), np.full(n, 1.5), np.full(n, 0.1))


def test_what_is_saved_is_read_again_and_answers_the_same(made: Folder, tmp_path: Path) -> None:
    again = toys.save(tmp_path)
    assert (again.id, again.sha256) == (made.id, made.sha256), "the same content is the same folder"
    assert toys.save(tmp_path, seed=2).id != made.id
    a, b = artifacts.verified(made.path)[0], artifacts.verified(again.path, made.sha256)[0]
    x = toys.rows(40, 5)
    assert a.predict(TARGETS, "1h", x, plans(40)) == b.predict(TARGETS, "1h", x, plans(40))


def test_a_row_is_judged_alike_alone_and_among_others(made: Folder) -> None:
    model, x = artifacts.verified(made.path)[0], toys.rows(65, 6)
    for family in model.families:
        among = model.predict(family, "1h", x, plans(65))
        assert among == [model.predict(family, "1h", x[i : i + 1], plans(1))[0] for i in range(65)]


def test_a_bound_lies_below_its_value_and_contributions_add_up(made: Folder) -> None:
    model, x = artifacts.verified(made.path)[0], toys.rows(30, 7)
    found = [row for row in model.predict(TARGETS, "1h", x, plans(30)) if row]
    assert len(found) == 30 and all(r.p_low <= r.p and r.ev_low_pct <= r.ev_pct for r in found)
    moved = model.contributions(TARGETS, x)
    margin = model.families[TARGETS].model.margin(x[:, model.columns])
    assert np.allclose(sum(moved.values()), margin, atol=1e-5) and set(moved) >= {"bias", NAMES[0]}


def damages(folder: Folder) -> Iterator[tuple[str, Any]]:
    for name in [*folder.files, SUMS]:
        data = (folder.path / name).read_bytes()
        middle = len(data) // 2
        yield f"flipped {name}", lambda p, n=name, d=data, m=middle: (p / n).write_bytes(
            d[:m] + bytes([d[m] ^ 1]) + d[m + 1 :])
        yield f"cut {name}", lambda p, n=name, d=data, m=middle: (p / n).write_bytes(d[:m])
        yield f"empty {name}", lambda p, n=name: (p / n).write_bytes(b"")
        yield f"gone {name}", lambda p, n=name: (p / n).unlink()


@pytest.mark.covers("D19")
def test_no_damaged_folder_is_ever_used(folder: Folder, tmp_path: Path) -> None:
    artifacts.verified(folder.path, folder.sha256)  # the clean twin
    count = 0
    for what, damage in damages(folder):
        broken = tmp_path / f"broken{count}"
        shutil.copytree(folder.path, broken)
        damage(broken)
        with pytest.raises(ArtifactError) as caught:
            artifacts.verified(broken, folder.sha256)
        assert broken.name in str(caught.value), what
        count += 1
    assert count == 4 * 9


@pytest.mark.covers("D19")
def test_another_model_in_the_place_of_the_registered_one_is_refused(made: Folder, tmp_path: Path) -> None:
    other = toys.save(tmp_path, seed=3)
    assert artifacts.verified(other.path)[0].id == other.id
    with pytest.raises(ArtifactError, match=r"not the one that was registered.*rollback"):
        artifacts.verified(other.path, made.sha256)


def without(card: dict[str, Any], *path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(card))
    inner = found
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return found


def wrong_answer(card: dict[str, Any], key: str, off: float) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(card))
    found["families"][TARGETS]["self_check"][key][2] += off
    return found


@pytest.mark.covers("D19")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: {"feature_version": c["feature_version"] + 1}, "features of version"),
        (lambda c: {"features": ["astrology", *c["features"][1:]]}, "does not make.*astrology"),
        (lambda c: {"features": c["features"][::-1]}, "not in this program's order"),
        (lambda c: {"features": c["features"][1:]}, "other features"),
        (lambda c: {"kind": "thresholds"}, "not a model of the gate"),
        (lambda c: {"families": {}}, "no family"),
        (lambda c: {"families": {"astrology": c["families"][TARGETS]}}, "astrology"),
        (lambda c: without(c, "families", TARGETS, "self_check"), "do not fit together"),
        (lambda c: without(c, "families", TARGETS, "n"), "do not fit together"),
        (lambda c: without(c, "data", "end"), "do not fit together"),
        (lambda c: wrong_answer(c, "p", 2e-9), "answers otherwise.*library"),
        (lambda c: wrong_answer(c, "raw", 1e-3), "answers otherwise.*library"),
    ],
)
def test_a_model_that_does_not_fit_is_named_and_refused(change: Any, said: str, folder: Folder, tmp_path: Path) -> None:
    assert artifacts.verified(toys.tampered(folder, {}, tmp_path / "clean").path)
    with pytest.raises(ArtifactError, match=f"(?s){said}"):
        artifacts.verified(toys.tampered(folder, change(folder.card), tmp_path / "odd").path)


def test_a_difference_below_the_tolerance_is_the_same_answer(folder: Folder, tmp_path: Path) -> None:
    artifacts.verified(toys.tampered(folder, wrong_answer(folder.card, "p", 5e-10), tmp_path).path)


def resigned(path: Path, name: str, data: bytes) -> None:
    (path / name).write_bytes(data)
    files = sorted(p.name for p in path.iterdir() if p.name != SUMS)
    (path / SUMS).write_text("".join(f"{registry._sha((path / n).read_bytes())}  {n}\n" for n in files))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not one of this program"),
        (b"{}", "not one of this program"),
        (b'{"format": 2}', r"newer program.*update"),
        (b'{"format": true}', "not one of this program"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_card_that_is_none_says_what_it_is(data: bytes, said: str, folder: Folder) -> None:
    resigned(folder.path, CARD, data)
    with pytest.raises(ArtifactError, match=said):
        registry.read(folder.path)


@pytest.mark.parametrize(
    "line", ["{sha}  ../secret", "{sha}  /etc/passwd", "{sha}  SHA256SUMS", "{sha}  card.json", "short  x", ""]
)
def test_a_list_that_names_what_it_must_not_is_refused(line: str, folder: Folder) -> None:
    with (folder.path / SUMS).open("a") as file:
        file.write(line.format(sha="0" * 64) + "\n")
    with pytest.raises(ArtifactError, match="not a list"):
        registry.read(folder.path)


def test_links_and_giants_are_not_opened(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = tmp_path / "card.json"
    shutil.move(folder.path / CARD, moved)
    (folder.path / CARD).symlink_to(moved)
    with pytest.raises(ArtifactError, match="missing"):
        registry.read(folder.path)
    (folder.path / CARD).unlink()
    shutil.move(moved, folder.path / CARD)
    registry.read(folder.path)
    monkeypatch.setattr(registry, "LARGEST_FILE", 100)
    with pytest.raises(ArtifactError, match="larger than"):
        registry.read(folder.path)


class Canary:
    """Pickled, it would write a file when loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.write_text, (self.target, "ran")


@pytest.mark.covers("D19")
def test_a_pickle_dropped_into_the_folder_is_never_opened(folder: Folder, tmp_path: Path) -> None:
    target = tmp_path / "ran"
    for name in ("model.pkl", "calibrator.joblib", "card.pickle"):
        (folder.path / name).write_bytes(pickle.dumps(Canary(target)))
    artifacts.verified(folder.path, folder.sha256)
    assert not target.exists()
    resigned(folder.path, "calibrator.json", pickle.dumps(Canary(target)))
    with pytest.raises(ArtifactError):
        artifacts.verified(folder.path)
    assert not target.exists()
    pickle.loads(pickle.dumps(Canary(target)))  # noqa: S301
    assert target.exists(), "the canary can sing"


@pytest.mark.covers("D19")
def test_nothing_in_core_imports_pickle_or_joblib() -> None:
    assert list(rules.harmful(modules("core"))) == []
    for planted in ("import pickle\n", "from joblib import load\n", "def f() -> None:\n    import cloudpickle\n"):
        assert len(list(rules.harmful([module("core/meta/planted.py", planted)]))) == 1


# A power cut while saving


class Cut(BaseException):
    """The power is gone: no handler runs."""


def cut_at(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Before the n-th step that touches the disk for good; whatever follows is gone too, cleaning up included.
    seen = 0

    def counted(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen >= n:
                raise Cut
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    monkeypatch.setattr(Path, "rename", counted(Path.rename))
    monkeypatch.setattr(Path, "mkdir", counted(Path.mkdir))
    tidy = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda *a, **k: tidy(*a, **k) if seen < n else None)


def saved_despite_cuts(root: Path, made: Folder, save: Any) -> tuple[int, list[str]]:
    """How many cuts it took until saving came through, and what was wrong on the disk after any of them."""
    wrong, cuts = [], 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            cut_at(cuts + 1, patch)
            try:
                save()
                return cuts, wrong
            except Cut:
                cuts += 1
        there = [p for p in root.iterdir() if not p.name.startswith(".")] if root.is_dir() else []
        for path in there:
            try:
                registry.read(path, made.sha256)
            except ArtifactError as error:
                wrong.append(str(error))
        wrong += [x.error for x in registry.listed(root) if x.error]


def test_a_power_cut_at_any_moment_leaves_the_whole_folder_or_none(made: Folder, tmp_path: Path) -> None:
    files = {n: d for n, d in made.files.items() if n != CARD}
    cuts, wrong = saved_despite_cuts(tmp_path / "m", made, lambda: registry.save(tmp_path / "m", made.card, files))
    assert cuts >= len(made.files) + 3 and wrong == []
    with pytest.MonkeyPatch.context() as patch:  # the planted flaw: straight into the final place
        patch.setattr(registry, "_PART", "part-")
        patch.setattr(Path, "rename", lambda self, target: shutil.move(self, target))
        straight = tmp_path / "straight" / made.id

        def flawed() -> None:
            straight.mkdir(parents=True, exist_ok=True)
            for name, data in {SUMS: (made.path / SUMS).read_bytes(), **made.files}.items():
                (straight / name).write_bytes(data)
                fd = os.open(straight / name, os.O_RDONLY)
                os.fsync(fd)
                os.close(fd)

        assert saved_despite_cuts(tmp_path / "straight", made, flawed)[1] != []


def test_what_a_killed_process_left_is_swept_and_a_living_ones_is_kept(made: Folder, tmp_path: Path) -> None:
    for name in (".part-999999999", f".part-{os.getpid()}", ".part-x", ".part-1"):
        (tmp_path / name).mkdir()
    toys.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".part-1", made.id]
    assert [x.id for x in registry.listed(tmp_path)] == [made.id]
    assert registry.listed(tmp_path / "nowhere") == []


def test_a_disk_that_refuses_is_one_clear_error(made: Folder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot be written"):
        toys.save(tmp_path / "file")
    with pytest.raises(ArtifactError, match="cannot be the name"):
        registry.save(tmp_path, {"created_ts": 0}, {"../x": b""})


def test_a_folder_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such folder"):
        registry.read(tmp_path / "nothing")
    assert registry.stamp(tmp_path / "nothing") == ()
