"""Training, evaluation and export of the networks. Needs the ``training`` extra (PyTorch); the runtime never imports it."""
