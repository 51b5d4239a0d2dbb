"""Inside the fusion: attention and parts of one utterance, live or committed."""
