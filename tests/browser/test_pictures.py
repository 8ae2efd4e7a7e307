"""The pictures of the pages say of the daemon what is true."""

from pathlib import Path

from core.dashboard.reading import FINE, STOPPED, Source, look
from tests.browser import pictures, site

BRIEF = ("--history", "1d")


def test_the_demo_goes_on_while_pictures_are_taken_and_ends_with_them(tmp_path: Path) -> None:
    config, db = site.configured(tmp_path)
    site.door("scheduler_run.py", "--demo", "--speed", "max", *BRIEF, "--span", "10m", config=config, db=db)
    source = Source(config, db)
    assert look(source).kind == STOPPED
    with pictures.running(config, db, (*BRIEF, "--span", "60m")):
        assert look(source).kind == FINE
    assert look(source).kind == STOPPED
