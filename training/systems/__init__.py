"""Systems that are compared on one footing: the same clips, folds and classes, the same figures."""
