"""The replay window: a recorded session to look at, hear, correct and compare."""
