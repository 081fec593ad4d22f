"""The command line: parses, prints and sets the exit code; the jobs do the work."""
