"""From a microphone, a file or an array to blocks at the engine's rate, their level, and where voice is.

``sources`` is the contract that every input keeps, ``microphone`` and ``file`` are inputs, and ``portaudio`` is the only module
that imports sounddevice. ``resample``, ``level`` and ``voice`` are streaming stages that know nothing of where samples come from.
"""
