"""All SQL of the program: one SQLite file, one writer, migrations, and typed reads and writes."""
