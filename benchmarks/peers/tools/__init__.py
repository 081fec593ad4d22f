"""The other tools, one module each; they know nothing of tailtune and run in `.bench-env`."""
