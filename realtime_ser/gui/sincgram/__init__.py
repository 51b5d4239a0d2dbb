"""The live sincgram: a window of its own that shows what every learnt filter hears, beside a mel spectrogram."""
