"""Scoring a session again with another bundle, utterance by utterance as it was recorded, and comparing the two.

The result is a folder with a header and streams of its own (``scores/NAME`` in the session); what was recorded is only read.
It holds no words and no sound. What was redacted is silence here, and no voice: a tone must not be scored.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from realtime_ser.assembly import Models, build_stages
from realtime_ser.audio.voice import VoiceDetector
from realtime_ser.config import ENGINE_RATE, EngineSettings, VoiceSettings
from realtime_ser.engine.pipeline import Stages
from realtime_ser.errors import ConfigError, SessionError
from realtime_ser.session.edit import log_scoring
from realtime_ser.session.format import SCORES_NAME, STREAMS_NAME, STREAMS_SCHEMA, is_recording, make_database, safe_name
from realtime_ser.session.header import Header, Kept, make_header, write_header
from realtime_ser.session.reader import Row, Session, read_audio, scorings
from realtime_ser.session.writer import Item, StreamWriter
from realtime_ser.types import (
    Block,
    EndReason,
    FloatArray,
    RecognizerLabel,
    Span,
    Transcript,
    UtteranceEnd,
    UtteranceStart,
    VoiceActivity,
    WindowScores,
    Word,
    frozen,
)

__all__ = ["Compared", "Comparison", "check_rescorable", "check_scoring_name", "compare", "rescore", "scoring_name"]

_ITEMS = 256
"""Items of a transaction."""


# Comparing ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """An utterance before and after.

    Attributes
    ----------
    start, end
        Seconds.
    before, after
        Labels; ``None`` is an abstention.
    confidence_before, confidence_after
        In [0, 1].
    difference
        Mean over classes of the absolute difference of the scores; ``None`` where the classes are others.
    redacted
        Sound of it was removed, so the two may not have heard the same.
    """

    utterance: int
    start: float
    end: float
    before: str | None
    after: str | None
    confidence_before: float
    confidence_after: float
    difference: float | None
    redacted: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """All utterances, and figures over those of which nothing was redacted; ``None`` where there is nothing to count.

    Attributes
    ----------
    agreement
        Share with the same label; abstaining both times is agreement.
    agreement_labelled
        The same among those that have a label both times.
    difference, confidence_difference
        Means of the absolute differences.
    missing
        Utterances that were recorded and not scored again.
    """

    utterances: tuple[Compared, ...]
    agreement: float | None
    agreement_labelled: float | None
    difference: float | None
    confidence_difference: float | None
    missing: tuple[int, ...]


def compare(before: Session, after: Session) -> Comparison:
    """Compare two scorings of a session, usually the one that was recorded with a later one.

    Raises
    ------
    SessionError
        One of them cannot be read.
    """
    redactions, rate = before.redactions(), before.header.sample_rate
    same_classes = set(before.header.classes) == set(after.header.classes)
    later = {row["utterance"]: row for row in after.utterances()}
    recorded = before.utterances()
    compared = []
    for row in recorded:
        other = later.get(row["utterance"])
        if other is None:
            continue
        difference = None
        if same_classes:
            difference = float(np.mean([abs(row["scores"][name] - other["scores"][name]) for name in row["scores"]]))
        compared.append(
            Compared(
                utterance=row["utterance"],
                start=row["start_sample"] / rate,
                end=row["end_sample"] / rate,
                before=row["label"],
                after=other["label"],
                confidence_before=row["confidence"],
                confidence_after=other["confidence"],
                difference=difference,
                redacted=any(span.first < row["end_sample"] and row["start_sample"] < span.end for span in redactions),
            )
        )
    counted = [one for one in compared if not one.redacted]
    labelled = [one for one in counted if one.before is not None and one.after is not None]
    return Comparison(
        utterances=tuple(compared),
        agreement=_mean(one.before == one.after for one in counted),
        agreement_labelled=_mean(one.before == one.after for one in labelled),
        difference=_mean(one.difference for one in counted if one.difference is not None),
        confidence_difference=_mean(abs(one.confidence_after - one.confidence_before) for one in counted),
        missing=tuple(row["utterance"] for row in recorded if row["utterance"] not in later),
    )


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return float(np.mean(known)) if known else None


# Scoring --------------------------------------------------------------------------------------------------------------------


def scoring_name(models: Models) -> str:
    """What a scoring is called unless somebody names it: by the bundle."""
    return safe_name(f"{models.manifest.name}-{models.manifest.version}")


def check_rescorable(folder: Path) -> None:
    """Return where the session in `folder` can be scored again.

    Raises
    ------
    SessionError
        It is being recorded, holds no sound, or cannot be read.
    """
    if is_recording(folder):
        raise SessionError(f"{folder.name} is being recorded.", "Stop the recording first.")
    with Session(folder) as session:
        if not session.has_audio:
            raise SessionError(
                f"{folder.name} cannot be scored again: no sound was kept, or it was deleted.",
                "Only sessions recorded with --keep-audio can.",
            )


def check_scoring_name(folder: Path, name: str, *, replace: bool) -> None:
    """Return where scores of `folder` may be kept under `name`.

    Raises
    ------
    SessionError
        It is none, or taken and not to be replaced.
    """
    if not name or safe_name(name) != name:
        raise SessionError(f"{name!r} cannot name a scoring.", "Use letters, digits, dots and dashes, 40 at most.")
    if name in scorings(folder) and not replace:
        raise SessionError(f"There is a scoring {name!r} of {folder.name}.", "Give --name, or --replace it.")


def rescore(
    folder: Path,
    models: Models,
    *,
    name: str | None = None,
    replace: bool = False,
    recognise: bool = False,
    reason: str = "",
    on_progress: Callable[[float, float], None] = lambda seconds, of: None,
) -> str:
    """Score the session in `folder` with other networks, and keep the result beside what was recorded.

    Settings and utterances are those of the recording. Runs in the calling thread, much faster than the sound was spoken.

    Parameters
    ----------
    models
        The other networks.
    name
        Under which the result is kept; ``None``: see :func:`scoring_name`.
    replace
        Whether an earlier result of that name may go.
    recognise
        ``False``: the words are those that were kept, if any. ``True``: the recogniser of `models` hears the sound again; what
        it recognises counts in the scores and is not kept.
    reason
        For the log.
    on_progress
        Called with the seconds that are done and of how many, every second of sound. What it raises ends the scoring, and
        nothing is left of it.

    Returns
    -------
    The name.

    Raises
    ------
    SessionError
        No sound was kept; the name is taken or none; the session is being recorded, damaged, or cannot be written.
    """
    name = scoring_name(models) if name is None else name
    check_scoring_name(folder, name, replace=replace)
    check_rescorable(folder)
    before = None
    if name in scorings(folder):
        with Session(folder, name) as old:
            before = _bundle_text(old.header)
    # Closed before the long work: the session may be looked at and corrected meanwhile.
    with Session(folder) as session:
        recorded = _Recorded.of(session)
    models = _for_speaker(recorded.header, models)
    header = _header(recorded, models, recognise)
    part, final = folder / SCORES_NAME / f".{name}.part", folder / SCORES_NAME / name
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        make_database(part / STREAMS_NAME, STREAMS_SCHEMA)
        write_header(part, header)
        writer = StreamWriter(part, header.classes, words=False, audio=False)
        try:
            _write(writer, _scored(recorded, models, recognise, on_progress))
            writer.seal()
        finally:
            writer.close()
        # Logged first: scores that nothing tells of are worse than a word about scores that could not be put in place.
        log_scoring(folder, name, before, _bundle_text(header), reason)
        if before is not None:
            shutil.rmtree(final)
        part.replace(final)
    except (OSError, sqlite3.Error) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SessionError(f"{folder} cannot be written: {text}.", "Make room, or check its permissions.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        with contextlib.suppress(OSError):  # unless there are others
            (folder / SCORES_NAME).rmdir()
    return name


def _for_speaker(header: Header, models: Models) -> Models:
    """`models` with the profile that the recording was made with, if they are its networks; for others it says nothing."""
    try:
        return models.for_speaker(header.profile)
    except ConfigError:
        return models.for_speaker(None)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What scoring again needs of a session beside its sound."""

    folder: Path
    header: Header
    samples: int
    redactions: Sequence[Span]
    utterances: Sequence[Row]
    transcripts: dict[int, Transcript]

    @classmethod
    def of(cls, session: Session) -> _Recorded:
        return cls(
            session.folder,
            session.header,
            session.samples,
            session.redactions(),
            session.utterances(),
            _recorded_transcripts(session),
        )


def _bundle_text(header: Header) -> str:
    return f"bundle {header.bundle.name} {header.bundle.version} ({header.bundle.sha256[:16]})"


def _header(session: _Recorded, models: Models, recognise: bool) -> Header:
    recorded = session.header
    header = make_header(
        models,
        participant=recorded.participant,
        condition=recorded.condition,
        input_name=f"session {recorded.id}",
        live=False,
        kept=Kept(),
        settings=_settings(recorded),
    )
    words = header.recognizer if recognise else recorded.recognizer if session.transcripts else "none"
    created = datetime.now(UTC).isoformat(timespec="milliseconds")
    return msgspec.structs.replace(header, id=uuid.uuid4().hex, created=created, recognizer=words)


def _settings(header: Header) -> EngineSettings:
    try:
        return msgspec.convert(header.settings, EngineSettings)
    except msgspec.ValidationError as error:
        raise SessionError(f"The engine's settings in the session are not understood: {error}.", "Use a copy of it.") from error


def _write(writer: StreamWriter, items: Iterable[Item]) -> None:
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) >= _ITEMS:
            writer.write(batch)
            batch = []
    writer.write(batch)


def _scored(session: _Recorded, models: Models, recognise: bool, on_progress: Callable[[float, float], None]) -> Iterator[Item]:
    """Windows, estimates and verdicts, in order."""
    settings = _settings(session.header)
    redactions = session.redactions
    stages = build_stages(
        models,
        settings,
        live=False,
        segmentation=_RecordedUtterances(session.utterances, settings.voice),
        words=recognise,
        detector=lambda: _DeafDetector(redactions, models.manifest.window),
    )
    transcripts = {} if recognise else session.transcripts
    try:
        if stages.words is not None:
            stages.words.start()
        for block in _blocks(session):
            yield from _follow(stages, block, transcripts)
            on_progress(block.span.end / ENGINE_RATE, session.samples / ENGINE_RATE)
        yield from _follow(stages, None, transcripts)
        yield from stages.judgement.finish()
    finally:
        if stages.words is not None:
            stages.words.close()


def _follow(stages: Stages, block: Block | None, recorded: dict[int, Transcript]) -> Iterator[Item]:
    """What a block brings; ``None``: the end of the stream."""
    result = stages.signal.finish() if block is None else stages.signal.process(block)
    yield from (output for output in result.shown if isinstance(output, WindowScores))
    for step in result.steps:
        if stages.words is not None:
            transcripts = stages.words.process(step).transcripts
        else:
            ended = [mark.utterance for mark in step.marks if isinstance(mark, UtteranceEnd)]
            transcripts = [recorded[number] for number in ended if number in recorded]
        yield from stages.judgement.process(step, transcripts)


def _blocks(session: _Recorded) -> Iterator[Block]:
    """The sound as it was kept, a second at a time, silent where it was redacted."""
    position: int | None = None
    for first, kept in read_audio(session.folder, 0, session.samples):
        samples: FloatArray = np.array(kept, np.float32)
        for span in session.redactions:
            samples[max(span.first - first, 0) : max(span.end - first, 0)] = 0.0
        block = Block(Span(first, first + len(samples)), frozen(samples), gap_before=position not in (None, first))
        position = block.span.end
        yield block


def _recorded_transcripts(session: Session) -> dict[int, Transcript]:
    words: dict[int, list[Word]] = {}
    for row in session.words():
        confidence = float("nan") if row["confidence"] is None else row["confidence"]
        word = Word(row["text"], Span(row["start_sample"], row["end_sample"]), confidence)
        words.setdefault(row["utterance"], []).append(word)
    label = RecognizerLabel("recorded", session.header.recognizer)
    return {
        row["utterance"]: Transcript(
            utterance=row["utterance"],
            words=tuple(words.get(row["utterance"], ())),
            heard_until=row["heard_until"],
            confidence=float("nan") if row["confidence"] is None else row["confidence"],
            final=bool(row["final"]),
            recognizer=label,
        )
        for row in session.transcripts()
    }


class _DeafDetector:
    """The plain detector, which hears no voice in windows that touch what was redacted."""

    def __init__(self, redactions: Sequence[Span], window: int) -> None:
        self._detector = VoiceDetector()
        # A window has its centre's flag.
        margin = window // 2 + VoiceDetector.chunk
        self._deaf = [(span.first - margin, span.end + margin) for span in redactions]

    def reset(self, first_sample: int) -> None:
        self._detector.reset(first_sample)

    def process(self, samples: FloatArray, first_sample: int) -> VoiceActivity:
        activity = self._detector.process(samples, first_sample)
        if not self._deaf:
            return activity
        probabilities = np.array(activity.probabilities)
        starts = activity.span.first + activity.chunk * np.arange(len(probabilities))
        for first, end in self._deaf:
            probabilities[(starts < end) & (starts + activity.chunk > first)] = 0.0
        return VoiceActivity(activity.span, activity.chunk, frozen(probabilities))


class _RecordedUtterances:
    """The segmentation that repeats what was recorded, its moments of decision included (they follow from the settings)."""

    def __init__(self, rows: Sequence[Row], voice: VoiceSettings) -> None:
        self._pending: deque[UtteranceStart | UtteranceEnd] = deque()
        self._under_way: UtteranceEnd | None = None
        chunk = VoiceDetector.chunk
        to_start, to_end = (
            -(-milliseconds * ENGINE_RATE // (1000 * chunk)) * chunk
            for milliseconds in (voice.min_voice_ms, voice.end_silence_ms)
        )
        spans = [Span(row["start_sample"], row["end_sample"]) for row in rows]
        starts = [min(span.first + to_start, span.end) for span in spans]
        for row, span, start, following in zip(rows, spans, starts, [*starts[1:], None], strict=True):
            reason = EndReason(row["reason"])
            end = span.end if reason is EndReason.LENGTH else span.end + to_end
            end = end if following is None else max(min(end, following), start)
            self._pending.append(UtteranceStart(row["utterance"], span.first, start))
            self._pending.append(UtteranceEnd(row["utterance"], span, end, reason))

    def process(self, activity: VoiceActivity) -> list[UtteranceStart | UtteranceEnd]:
        """What was decided up to here."""
        return self._until(activity.span.end)

    def finish(self, sample: int, reason: EndReason) -> list[UtteranceStart | UtteranceEnd]:
        """The utterance under way ended here, whatever silence it still waited for."""
        marks = self._until(sample)
        while self._under_way is not None:
            end = self._under_way
            self._pending.popleft()
            self._under_way = None
            marks.append(UtteranceEnd(end.utterance, end.span, sample, end.reason))
        return marks

    def _until(self, sample: int) -> list[UtteranceStart | UtteranceEnd]:
        marks = []
        while self._pending and self._pending[0].decided_at <= sample:
            mark = self._pending.popleft()
            following = self._pending[0] if self._pending else None
            self._under_way = following if isinstance(mark, UtteranceStart) and isinstance(following, UtteranceEnd) else None
            marks.append(mark)
        return marks
