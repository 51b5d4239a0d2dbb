"""Words: samples of an utterance → :class:`~realtime_ser.types.Transcript`, by Vosk or PocketSphinx."""
