"""The stages put to work: in one thread (:mod:`pipeline`, the reference) or in several (:mod:`engine`)."""
