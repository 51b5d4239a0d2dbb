"""The sessions that were recorded: which there are, and what can be done with them."""
