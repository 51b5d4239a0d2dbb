"""Outputs as plain records: what JSON lines carry, and the rows of tables.

Times are seconds from the start of the stream, derived from sample indices. Scores are dictionaries by class name and sum to 1.
What is not a number (``nan``: not known) becomes ``None``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from realtime_ser.config import ENGINE_RATE
from realtime_ser.types import (
    Estimate,
    EstimateState,
    Event,
    FloatArray,
    Health,
    Output,
    Transcript,
    Verdict,
    WindowScores,
    Word,
)

__all__ = ["Record", "records", "verdict_row", "window_rows"]

Record: TypeAlias = dict[str, Any]


def records(output: Output, classes: Sequence[str], *, windows: bool = True, person: str = "") -> Iterator[Record]:
    """The JSON records of an output; none for those that are only meant for display (levels, voice activity).

    Parameters
    ----------
    output
        From an engine or a pipeline.
    classes
        Names in the order of the score vectors.
    windows
        Whether the 10 ms windows are wanted: a hundred records a second.
    person
        Whose output it is, where there are several people; a record then has it as ``person``.
    """
    for record in _records(output, classes, windows):
        yield {"type": record["type"], "person": person, **record} if person else record


def _records(output: Output, classes: Sequence[str], windows: bool) -> Iterator[Record]:
    match output:
        case WindowScores():
            if windows:
                yield from window_records(output, classes)
        case Transcript():
            yield _transcript(output)
        case Estimate():
            # Without speech nothing is claimed, so there is nothing to write.
            if output.state is not EstimateState.NO_SPEECH:
                yield {"type": "estimate", **_estimate(output, classes)}
        case Verdict():
            yield {"type": "utterance", "reason": str(output.reason), **_estimate(output.estimate, classes)} | _bleed(output)
        case Health():
            yield _health(output)
        case Event():
            second = output.sample / ENGINE_RATE
            yield {
                "type": "event",
                "start": second,
                "end": second,
                "kind": output.kind,
                "severity": str(output.severity),
                "message": output.message,
            }
        case _:
            return


def window_records(windows: WindowScores, classes: Sequence[str]) -> Iterator[Record]:
    """A record for every 10 ms window."""
    for span, scores, voiced in zip(windows.window_spans(), windows.scores, windows.voiced, strict=True):
        start, end = span.seconds(ENGINE_RATE)
        yield {"type": "window", "start": start, "end": end, "voiced": bool(voiced), "scores": _scores(scores, classes)}


def window_rows(windows: WindowScores, classes: Sequence[str]) -> Iterator[Record]:
    """A flat row for every 10 ms window: start, end, voiced, a column per class."""
    for record in window_records(windows, classes):
        yield {"start": record["start"], "end": record["end"], **record["scores"], "voiced": record["voiced"]}


def verdict_row(verdict: Verdict, classes: Sequence[str]) -> Record:
    """A flat row for an utterance: start, end, a column per class, and what the verdict rests on.

    `label` is ``None`` where the tool abstains; `state` then says why.
    """
    estimate = verdict.estimate
    start, end = verdict.span.seconds(ENGINE_RATE)
    transcript = estimate.transcript
    return {
        "start": start,
        "end": end,
        **_scores(estimate.scores, classes),
        "label": estimate.label,
        "state": str(estimate.state),
        "confidence": _known(estimate.confidence),
        "voiced_seconds": round(estimate.voiced_seconds, 3),
        "word_share": round(estimate.word_share, 4),
        "transcript": transcript.text if transcript is not None else "",
        "transcript_confidence": _known(transcript.confidence) if transcript is not None else None,
        "recognizer": str(transcript.recognizer) if transcript is not None else "",
        "note": estimate.note,
    } | _bleed(verdict)


def _scores(scores: FloatArray, classes: Sequence[str]) -> dict[str, float]:
    return {name: round(float(score), 7) for name, score in zip(classes, scores, strict=True)}


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)


def _word(word: Word) -> Record:
    start, end = word.span.seconds(ENGINE_RATE)
    return {"text": word.text, "start": start, "end": end, "confidence": _known(word.confidence)}


def _transcript(transcript: Transcript) -> Record:
    start = transcript.words[0].span.first if transcript.words else transcript.heard_until
    return {
        "type": "transcript",
        "start": start / ENGINE_RATE,
        "end": transcript.heard_until / ENGINE_RATE,
        "utterance": transcript.utterance,
        "text": transcript.text,
        "final": transcript.final,
        "confidence": _known(transcript.confidence),
        "recognizer": str(transcript.recognizer),
        "words": [_word(word) for word in transcript.words],
    }


def _estimate(estimate: Estimate, classes: Sequence[str]) -> Record:
    start, end = estimate.span.seconds(ENGINE_RATE)
    transcript = estimate.transcript
    return {
        "start": start,
        "end": end,
        "utterance": estimate.utterance,
        "state": str(estimate.state),
        "label": estimate.label,
        "confidence": _known(estimate.confidence),
        "scores": _scores(estimate.scores, classes),
        "acoustic": _scores(estimate.acoustic, classes),
        "text_scores": None if estimate.text is None else _scores(estimate.text, classes),
        "voice_share": round(estimate.voice_share, 4),
        "word_share": round(estimate.word_share, 4),
        "voiced_seconds": round(estimate.voiced_seconds, 3),
        "transcript": transcript.text if transcript is not None else "",
        "note": estimate.note,
    }


def _bleed(verdict: Verdict) -> Record:
    """Nothing where there is nobody whose voice it could have been."""
    return {} if verdict.bleed is None else {"bleed": _known(verdict.bleed)}


def _health(health: Health) -> Record:
    second = health.sample / ENGINE_RATE
    return {
        "type": "health",
        "start": second,
        "end": second,
        "overruns": health.overruns,
        "dropped_samples": health.dropped_samples,
        "device_losses": health.device_losses,
        "windows_computed": health.windows_computed,
        "windows_skipped": health.windows_skipped,
        "latency_p50": _known(health.latency_p50),
        "latency_p95": _known(health.latency_p95),
        "recognizer_lag": _known(health.recognizer_lag),
        "judgement_lag": _known(health.judgement_lag),
        "clock_drift_ppm": _known(health.clock_drift),
        "real_time_factor": _known(health.real_time_factor),
        "queue_fill": _known(health.queue_fill),
    }
