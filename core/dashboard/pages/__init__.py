"""The pages: Streamlit calls only. What they show is made in `core.dashboard.views`."""
