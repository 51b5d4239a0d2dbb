"""Words to emotion evidence: the tokeniser, the vocabulary and the text network."""

from realtime_ser.text.network import TextEncoding, TextNetwork
from realtime_ser.text.tokens import PADDING, PUNCTUATION, UNKNOWN, Vocabulary, tokenize

__all__ = ["PADDING", "PUNCTUATION", "UNKNOWN", "TextEncoding", "TextNetwork", "Vocabulary", "tokenize"]
