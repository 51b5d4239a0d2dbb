"""``python -m training speakers``: how the profile of a speaker is to be used, and what it is worth.

A profile (:mod:`realtime_ser.profiles`) is made of the neutral recordings of a held-out speaker, up to a minute of voice and
never more than half of them. The speaker's other recordings, of all classes and in an order that a hash decides, are then heard
one after the other as in one session: the running band mean goes on from clip to clip, as it does live, where a cold start for
each clip would make a profile look better than it is.

How long a profile's level and shape count, and which part of the difference in neutral logits is taken off, is chosen on
validation speakers (cross-entropy, mean over classes and speakers). The test speakers, and corpora that nothing was trained on,
are heard once.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from realtime_ser.acoustic.model import KnownVoice
from realtime_ser.acoustic.stream import AcousticStream
from realtime_ser.assembly import Models
from realtime_ser.bundle.manifest import SpeakerFacts, digest
from realtime_ser.errors import ConfigError
from realtime_ser.profiles import GAIN, Baseline, SpeakerProfile, share_of
from realtime_ser.types import Span, VoiceActivity, WindowScores
from training.conditions import voice_of, voice_of_export
from training.corpora import FOUR_CLASSES, Clip, data_directory, load_clips
from training.export_acoustic import hardware
from training.features import CHUNK, SAMPLE_RATE, ClipStore, open_store
from training.metrics import softmax, speaker_interval, unweighted_accuracy
from training.splits import BUNDLE_TEST, BUNDLE_VALIDATION, telling_sentences

__all__ = ["HeardSpeaker", "add_arguments", "choose", "hear_speaker", "run"]

RESULT = "speakers.json"
MINUTE = 60.0
"""Seconds of voice that a profile is made of at most."""
LEAST = 5.0
"""Seconds of voice in their baseline that speakers need to take part: corpora have little more neutral speech of anybody."""

FRAMES = (100.0, 200.0, 500.0, 1_000.0)
RELEVANCE = (0.0, 5.0, 10.0, 20.0, 40.0)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class HeardSpeaker:
    """What the networks made of one speaker.

    Attributes
    ----------
    profile
        Made of the baseline.
    labels
        Of the other clips, in the order in which they were heard.
    plain
        Mean logits of these clips' voiced windows without a profile, ``(clips, classes)``.
    known
        The same with the profile's level and shape, and nothing taken off, by how many frames they count for.
    """

    speaker: str
    corpus: str
    profile: SpeakerProfile
    labels: NDArray[np.int64]
    plain: NDArray[np.float64]
    known: dict[float, NDArray[np.float64]]

    def scores(self, facts: SpeakerFacts) -> NDArray[np.float64]:
        """Logits with the profile used as `facts` say."""
        offset = np.array(self.profile.logits) - np.array(facts.neutral_logits)
        return self.known[facts.frames] - share_of(facts, self.profile.voiced_seconds) * offset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m training speakers``, beside ``--data``."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--bundle", help="bundle folder or name of a shipped bundle (default: the default one)")
    which.add_argument("--acoustic", type=Path, help="an exported acoustic network instead (folder with acoustic.json)")
    parser.add_argument("--out", type=Path, default=Path("runs/speakers"), help="folder of the result (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="decoded audio (default: %(default)s)")
    parser.add_argument("--into", type=Path, help="bundle folder whose manifest and card are to say so")
    parser.add_argument("--unheard", nargs="*", default=["EMOVO"], help="corpora never trained on (default: EMOVO)")


def run(args: argparse.Namespace) -> int:
    """Choose, measure, print, and write ``speakers.json``; 0 on success."""
    root = data_directory(args.data)
    models = voice_of_export(args.acoustic) if args.acoustic else voice_of(args.bundle)
    if models.classes != FOUR_CLASSES:
        raise ConfigError(f"The networks have the classes {', '.join(models.classes)}, not the four.")
    clips = [clip for clip in load_clips(root) if clip.emotion4]
    telling = telling_sentences(clips)
    clips = [clip for clip in clips if clip.sentence not in telling]
    validation = hear_speakers(models, root, args.cache, [clip for clip in clips if clip.speaker in BUNDLE_VALIDATION])
    facts, trials = choose(validation, models.manifest.calibration.acoustic)
    print(f"chosen on {len(validation)} validation speakers: {facts}", flush=True)
    figures: list[dict[str, Any]] = []
    parts = {"held-out speakers": [clip for clip in clips if clip.speaker in BUNDLE_TEST]}
    parts |= {"never trained on": [clip for clip in clips if clip.corpus in args.unheard]}
    for protocol, part in parts.items():
        heard = hear_speakers(models, root, args.cache, part)
        for corpus in sorted({one.corpus for one in heard}):
            figures += figures_of([one for one in heard if one.corpus == corpus], facts, protocol)
    result = {
        "head": digest(models.bundle.content("head.onnx")),
        "speaker": msgspec.to_builtins(facts),
        "figures": figures,
        "validation": trials,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / RESULT).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for figure in figures:
        low, high = figure["interval"]
        print(f"{figure['name']:44} {figure['value']:6.3f} [{low:.3f}, {high:.3f}]  {figure['data']}")
    print(f"written: {args.out / RESULT}")
    if args.into is not None:
        from training.bundle import with_speakers

        with_speakers(args.into, result)
        print(f"added to {args.into}")
    return 0


def hear_speakers(models: Models, root: Path, cache: Path, clips: Sequence[Clip]) -> list[HeardSpeaker]:
    """All speakers of `clips` of whom there is enough neutral speech."""
    heard = []
    for corpus in sorted({clip.corpus for clip in clips}):
        own = [clip for clip in clips if clip.corpus == corpus]
        store = open_store(root, own, cache, f"{corpus}-speakers")
        for speaker in sorted({clip.speaker for clip in own}):
            one = hear_speaker(models, store, speaker)
            if one is not None:
                heard.append(one)
    if not heard:
        raise ConfigError(f"Of no speaker there are {LEAST:g} s of neutral speech to spare.")
    return heard


def hear_speaker(models: Models, store: ClipStore, speaker: str) -> HeardSpeaker | None:
    """Make a profile of a speaker and hear the other clips with and without it; ``None``: too little neutral speech."""
    own = [index for index, clip in enumerate(store.clips) if clip.speaker == speaker]
    own.sort(key=lambda index: hashlib.sha256(store.clips[index].path.encode()).hexdigest())
    neutral = [index for index in own if store.clips[index].emotion4 == "neutral"]
    acoustic = models.acoustic
    baseline, used = Baseline(acoustic.bands_per_window), []
    stream = AcousticStream(acoustic)
    for index in neutral[: len(neutral) // 2]:
        if baseline.voiced_seconds >= MINUTE:
            break
        for windows in _hear(stream, store, index):
            baseline.add(windows, SAMPLE_RATE)
        used.append(index)
    if baseline.voiced_seconds < LEAST:
        return None
    profile = baseline.profile(speaker, models.bundle, LEAST)
    rest = [index for index in own if index not in used]
    plain, labels = _session(AcousticStream(acoustic), store, rest)
    nothing = np.zeros(acoustic.classes, np.float32)
    known = {}
    for frames in FRAMES:
        voice = KnownVoice(profile.level, np.array(profile.shape), frames, nothing)
        known[frames], _ = _session(AcousticStream(acoustic.for_voice(voice)), store, rest)
    return HeardSpeaker(speaker, store.clips[own[0]].corpus, profile, labels, plain, known)


def _hear(stream: AcousticStream, store: ClipStore, index: int) -> list[WindowScores]:
    """The windows of a clip, after whatever the stream heard before."""
    samples, probabilities = store.audio_of(index), store.probabilities_of(index)
    stream.restart(0)
    # The detector is a chunk behind at most; what is beyond its last whole chunk cannot be judged.
    whole = len(probabilities) * CHUNK
    return stream.push(samples[:whole], VoiceActivity(Span(0, whole), CHUNK, probabilities))


def _session(stream: AcousticStream, store: ClipStore, members: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean logits of the voiced windows and labels of clips heard one after the other; clips without voice are left out."""
    logits, labels = [], []
    for index in members:
        voiced = [windows.logits[windows.voiced] for windows in _hear(stream, store, index)]
        rows = np.concatenate(voiced) if voiced else np.zeros((0, 0), np.float32)
        if len(rows):
            logits.append(rows.mean(axis=0, dtype=np.float64))
            labels.append(FOUR_CLASSES.index(store.clips[index].emotion4))
    return np.array(logits), np.array(labels, np.int64)


def choose(speakers: Sequence[HeardSpeaker], temperature: float) -> tuple[SpeakerFacts, list[dict[str, float]]]:
    """How profiles are best used for `speakers`, and how good every way was.

    The usual neutral logits are the mean over the speakers; for each of them, while it is chosen, that over the others.
    """
    if len(speakers) < 2:
        raise ConfigError("To choose how profiles are used takes two speakers at least.")
    neutral = np.array([one.profile.logits for one in speakers])
    others = [tuple(np.delete(neutral, row, axis=0).mean(axis=0).tolist()) for row in range(len(speakers))]
    trials = []
    best: tuple[float, SpeakerFacts] | None = None
    plain = float(np.mean([_entropy(one.labels, one.plain, temperature) for one in speakers]))
    trials.append({"cross-entropy": round(plain, 4)})
    for frames, relevance, share in itertools.product(FRAMES, RELEVANCE, SHARES):
        facts = SpeakerFacts(tuple(neutral.mean(axis=0).round(5).tolist()), frames, relevance, share)
        scored = [one.scores(replace_neutral(facts, other)) for one, other in zip(speakers, others, strict=True)]
        entropy = float(
            np.mean([_entropy(one.labels, logits, temperature) for one, logits in zip(speakers, scored, strict=True)])
        )
        trials.append({"frames": frames, "relevance_seconds": relevance, "share": share, "cross-entropy": round(entropy, 4)})
        if best is None or entropy < best[0]:
            best = entropy, facts
    assert best is not None  # the lists above are not empty
    return best[1], trials


def replace_neutral(facts: SpeakerFacts, neutral: tuple[float, ...]) -> SpeakerFacts:
    """`facts` with other usual neutral logits."""
    return msgspec.structs.replace(facts, neutral_logits=neutral)


def _entropy(labels: NDArray[np.int64], logits: NDArray[np.float64], temperature: float) -> float:
    """Cross-entropy, every class counting the same."""
    losses = -np.log(softmax(logits, temperature)[np.arange(len(labels)), labels] + 1e-12)
    return float(np.mean([losses[labels == label].mean() for label in np.unique(labels)]))


def figures_of(speakers: Sequence[HeardSpeaker], facts: SpeakerFacts, protocol: str) -> list[dict[str, Any]]:
    """UA without and with profiles, and their difference, for the bundle's card."""
    labels = np.concatenate([one.labels for one in speakers])
    names = [one.speaker for one in speakers for _ in one.labels]
    plain = np.concatenate([one.plain for one in speakers]).argmax(axis=1).astype(np.int64)
    known = np.concatenate([one.scores(facts) for one in speakers]).argmax(axis=1).astype(np.int64)

    def gain(rows: NDArray[np.int64]) -> float:
        return unweighted_accuracy(labels[rows], known[rows]) - unweighted_accuracy(labels[rows], plain[rows])

    table = {
        "acoustic UA, speakers heard one after the other": lambda rows: unweighted_accuracy(labels[rows], plain[rows]),
        "acoustic UA with profiles": lambda rows: unweighted_accuracy(labels[rows], known[rows]),
        GAIN: gain,
    }
    seconds = [one.profile.voiced_seconds for one in speakers]
    figures = []
    for name, figure in table.items():
        low, high = speaker_interval(figure, names)
        figures.append(
            {
                "name": name,
                "value": round(figure(np.arange(len(labels))), 4),
                "interval": [round(low, 4), round(high, 4)],
                "data": f"{speakers[0].corpus}, {len(speakers)} speakers, {len(labels)} clips",
                "protocol": (
                    f"{protocol}; profiles of {min(seconds):.0f} to {max(seconds):.0f} s of their neutral voice in other"
                    " clips; the clips of a speaker one after the other, as in one session; four classes, chance UA 0.25;"
                    " interval: 95 %, bootstrap over speakers"
                ),
                "date": datetime.date.today().isoformat(),
                "hardware": hardware(),
            }
        )
    return figures
