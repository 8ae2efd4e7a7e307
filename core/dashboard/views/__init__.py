"""What the pages show, without Streamlit: rows in, numbers, words and figures out. Pure."""
