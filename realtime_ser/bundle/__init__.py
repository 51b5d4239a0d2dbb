"""The model bundle: the graphs of all stages with what belongs to them, and how they are loaded."""
