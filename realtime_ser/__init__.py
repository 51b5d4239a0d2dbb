"""Live speech emotion recognition (Priyasad et al., ICASSP 2020) as a streaming instrument."""
