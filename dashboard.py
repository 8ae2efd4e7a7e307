"""The dashboard: `streamlit run dashboard.py`."""

from core.dashboard.app import main

main()
