"""The dashboard: `streamlit run dashboard.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import streamlit as st
from streamlit import runtime

from core.dashboard import command

PAGES = "core.dashboard.app"


@asynccontextmanager
async def _loaded(_app: object) -> AsyncIterator[dict[str, object]]:
    # Before the server answers: the first visitor would wait seconds for pandas and our own pages otherwise.
    import_module(PAGES)
    yield {}


app = st.App(__file__, lifespan=_loaded)  # the server loads this file once, and then runs it for each visit

if __name__ == "__main__":
    if not runtime.exists():
        raise SystemExit(command.explain())
    import_module(PAGES).main()
