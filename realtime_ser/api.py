"""The library: recorded sound in, tables out.

>>> from realtime_ser import EmotionRecognizer
>>> recognizer = EmotionRecognizer()
>>> table = recognizer.process_file("interview.wav")
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from realtime_ser.acoustic.execution import Execution
from realtime_ser.acoustic.stream import AcousticStream
from realtime_ser.asr.process import SpareWorkers
from realtime_ser.assembly import Models, SegmentationKind, build_stages, load_models, run_pipeline
from realtime_ser.audio.file import FileSource
from realtime_ser.audio.sources import ArraySource, Source
from realtime_ser.audio.voice import SileroClassifier
from realtime_ser.config import EngineSettings
from realtime_ser.engine.ahead import WorkedAhead
from realtime_ser.profiles import SpeakerProfile
from realtime_ser.records import Record, verdict_row, window_rows
from realtime_ser.types import Output, Verdict, WindowScores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FILE_BLOCK", "EmotionRecognizer"]

FILE_BLOCK = 48_000
"""Samples (3 s) that files are worked off by: longer blocks cost less for a second of sound, and the scores are the same."""


class EmotionRecognizer:
    """Emotion scores of recorded speech, by exactly the computation that the live program does.

    Parameters
    ----------
    bundle
        Bundle folder or name of a shipped bundle; ``None``: the default one.
    recognizer
        Who writes the words: ``"auto"``, ``"vosk"``, ``"pocketsphinx"``, ``"none"``, or the folder or name of a Vosk model.
    settings
        Thresholds and times; ``None``: the defaults.
    execution
        Where the acoustic networks run and with which weights; ``None``: see :func:`~realtime_ser.assembly.load_models`.
    profile
        Of the one who speaks (:func:`realtime_ser.profiles.read_profile`); ``None``: anybody.

    Raises
    ------
    BundleError, RecognizerError, ConfigError
        Nothing to work with; the message says what to do.

    Notes
    -----
    Loading takes about a second; use one object for many files. Several threads may use one object.

    Every table is indexed by ``file``, ``start`` and ``end``, the latter two as :class:`pandas.Timedelta`.
    """

    def __init__(
        self,
        bundle: str | Path | None = None,
        recognizer: str | Path = "auto",
        settings: EngineSettings | None = None,
        execution: Execution | None = None,
        profile: SpeakerProfile | None = None,
    ) -> None:
        # A recogniser may take longer to load than a recording to be scored.
        spare = SpareWorkers()
        self._end_spare = weakref.finalize(self, spare.close)
        self._models = load_models(bundle, recognizer, execution, spare=spare).for_speaker(profile)
        self._settings = settings
        self._idle_classifiers: deque[SileroClassifier] = deque()

    def close(self) -> None:
        """End the recogniser's process, which is kept for the next recording; it ends with this object in any case."""
        self._end_spare()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the score columns."""
        return self._models.classes

    @property
    def models(self) -> Models:
        """The loaded networks and the chosen recogniser."""
        return self._models

    def process_file(self, path: str | Path, segmentation: SegmentationKind = "voice") -> pd.DataFrame:
        """Score the utterances of a sound file.

        Parameters
        ----------
        path
            Any format that libsndfile reads, any rate, any number of channels (they are averaged).
        segmentation
            ``"voice"``: utterances by voice activity. ``"whole"``: the file is one utterance, as in the paper's protocol.

        Returns
        -------
        pandas.DataFrame
            A row per utterance: a column per class (float, rows sum to 1), ``label`` (``None`` where the tool abstains),
            ``state``, ``confidence``, ``voiced_seconds``, ``word_share``, ``transcript``, ``transcript_confidence``,
            ``recognizer``, ``note``. Empty where no voice was found.

        Raises
        ------
        AudioFileError
            The file is missing, empty, or no audio.
        """
        return self._utterances(FileSource(path, block=FILE_BLOCK), str(path), segmentation)

    def process_signal(
        self,
        samples: NDArray[Any] | Sequence[float],
        sample_rate: int,
        segmentation: SegmentationKind = "voice",
        file: str = "signal",
    ) -> pd.DataFrame:
        """Score the utterances of a signal in memory; as :meth:`process_file`.

        Parameters
        ----------
        samples
            Shape ``(n,)`` or ``(n, channels)``; floats with full scale 1, or integers.
        sample_rate
            Hz.
        file
            What to write into the index.
        """
        return self._utterances(ArraySource(np.asarray(samples), sample_rate, block=FILE_BLOCK), file, segmentation)

    def process_windows(
        self, source: str | Path | NDArray[Any], sample_rate: int | None = None, file: str = "signal"
    ) -> pd.DataFrame:
        """Score every 250 ms window, every 10 ms, of a file or of a signal (which needs its `sample_rate`, Hz).

        Returns
        -------
        pandas.DataFrame
            A row per window: a column per class (the network's softmax, rows sum to 1) and ``voiced``.
        """
        if isinstance(source, str | Path):
            audio: Source = FileSource(source, block=FILE_BLOCK)
            file = str(source)
        else:
            if sample_rate is None:
                raise ValueError("a signal needs its sample_rate")
            audio = ArraySource(np.asarray(source), sample_rate, block=FILE_BLOCK)
        rows: list[Record] = []
        for output in self.stream(audio, words=False):
            if isinstance(output, WindowScores):
                rows.extend(window_rows(output, self.classes))
        return self._table(rows, file, [*self.classes, "voiced"])

    def stream(self, source: Source, segmentation: SegmentationKind = "voice", *, words: bool = True) -> Iterator[Output]:
        """Everything that the pipeline emits for a source, as it comes; memory stays flat however long the source is."""
        build = partial(build_stages, self._models, self._settings, live=False, segmentation=segmentation, words=words)
        if source.live:
            return run_pipeline(source, build())
        ahead = WorkedAhead(source, self._models.acoustic, self._idle_classifiers)
        return run_pipeline(ahead, build(detector=lambda: ahead, acoustic=partial(AcousticStream, bands=ahead.bands)))

    def _utterances(self, source: Source, file: str, segmentation: SegmentationKind) -> pd.DataFrame:
        rows = [
            verdict_row(output, self.classes) for output in self.stream(source, segmentation) if isinstance(output, Verdict)
        ]
        columns = [*self.classes, "label", "state", "confidence", "voiced_seconds", "word_share", "transcript"]
        return self._table(rows, file, [*columns, "transcript_confidence", "recognizer", "note"])

    def _table(self, rows: list[Record], file: str, columns: list[str]) -> pd.DataFrame:
        import pandas as pd

        index = pd.MultiIndex.from_arrays(
            [
                pd.Index([file] * len(rows), dtype="object"),
                pd.to_timedelta([row["start"] for row in rows], unit="s"),
                pd.to_timedelta([row["end"] for row in rows], unit="s"),
            ],
            names=["file", "start", "end"],
        )
        return pd.DataFrame(rows, columns=columns, index=None).set_axis(index, axis=0)
