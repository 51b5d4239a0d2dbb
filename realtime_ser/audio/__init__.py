"""From a microphone, a file or an array to blocks at the engine's rate, their level, and where voice is.

``sources`` is the contract that every input keeps; ``microphone`` and ``file`` are inputs; ``capture`` is one stream of a
device; ``intake`` is the one way from a device's frames to blocks; ``portaudio`` is the only module that imports sounddevice,
and ``rehearsal`` stands in for it where the microphone's path is to be proved. ``resample``, ``clock``, ``level`` and ``voice``
know nothing of where samples come from.
"""
