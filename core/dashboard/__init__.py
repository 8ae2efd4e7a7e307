"""The dashboard: pages over the database, opened read-only. Streamlit and pandas live here alone."""
