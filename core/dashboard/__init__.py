"""The dashboard: pages over the database, opened read-only. Streamlit, pandas and plotly live here alone."""
