"""How often the intervals of a report hold what they say they hold."""
