"""The jobs, one module each with one `run(scale) -> list[Row]`, each run in a process of its own."""
