"""Fusion: the network that joins both branches, and the rules by which its scores become claims."""
