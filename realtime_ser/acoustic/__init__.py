"""The acoustic branch: the SincNet encoder of the paper, streamed."""
