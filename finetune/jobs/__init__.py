"""The jobs of the toolkit: one readable column of calls each; none is imported before it is called for."""
