"""``python -m training bleed``: how often an utterance is rightly, and how often wrongly, called another person's voice.

Conversations are made of the recordings of two real speakers: turns, interruptions, and words thrown in softly. Each speaker
has a microphone 30 cm away in a simulated room (:mod:`training.rooms`); what the other one says arrives through a response from
1 to 2 m away, and as much softer as is asked for, over the whole conversation. Voices differ by some decibels from one turn to
the next; the microphones may differ in gain, and have a little noise.

The program's own voice activity finds utterances in both microphones, and its own judgement is asked about each. Who really
spoke is told by the voice activity of the voices by themselves. An utterance in which the microphone's own speaker said next to
nothing is bleed; one that is mostly the speaker's own is not; what lies between is counted, and in neither rate.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from realtime_ser.acoustic.model import AcousticModel
from realtime_ser.assembly import load_models
from realtime_ser.audio.voice import DETECTOR_CHUNK, Segmenter, VoiceDetector
from realtime_ser.config import EngineSettings, VoiceSettings
from realtime_ser.engine.bleed import BleedWatch
from realtime_ser.errors import ConfigError
from realtime_ser.types import BLEED, EndReason, FloatArray, Span, UtteranceEnd, WindowScores
from training.corpora import Clip, data_directory, load_clips
from training.features import SAMPLE_RATE, audio_file, read_audio
from training.rooms import room_response

__all__ = ["Conversation", "Rates", "add_arguments", "converse", "judge_conversation", "run"]

RESULT = "bleed.json"
SECONDS = 60.0
"""Of a conversation, about."""
LEVEL_DB = -26.0
"""Of voices, RMS while somebody speaks."""
NOISE_DB = -65.0
OWN_LEAST, BLEED_MOST = 0.6, 0.1
"""Share of an utterance's voice in which the microphone's own speaker spoke: from here on it is theirs; up to here not."""
VOICE = VoiceSettings().on_threshold
LABELLED_SECONDS = EngineSettings().min_voiced_ms / 1_000


@dataclass(frozen=True)
class Conversation:
    """Two voices by themselves, as they reach their own microphones, and what the microphones hear, each of one length."""

    voices: tuple[FloatArray, FloatArray]
    microphones: tuple[FloatArray, FloatArray]


@dataclass
class Rates:
    """Counts of utterances: bleed and how many of it were marked, own and how many of them were, and those that are neither.

    `long_bleed` and `long_hits` are those with half a second of voice: of less the program never gives a label.
    """

    corpus: str
    bleed_db: float | None
    gain_db: float
    bleed: int = 0
    hits: int = 0
    long_bleed: int = 0
    long_hits: int = 0
    own: int = 0
    false_alarms: int = 0
    mixed: int = 0

    def line(self) -> str:
        """In words."""
        level = "no bleed" if self.bleed_db is None else f"bleed {self.bleed_db:+.0f} dB"
        found = f"{self.hits} of {self.bleed} found" if self.bleed else "none to find"
        if self.bleed:
            found += f" ({self.long_hits} of {self.long_bleed} of those that can have a label)"
        return (
            f"{self.corpus:10} {level:13} gain {self.gain_db:+3.0f} dB: {found}, "
            f"{self.false_alarms} of {self.own} own utterances marked, {self.mixed} mixed"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m training bleed``, beside ``--data``."""
    parser.add_argument("--corpora", nargs="+", default=["EMODB", "EMOVO", "nEMO", "RAVDESS"], help="(default: %(default)s)")
    parser.add_argument("--levels", nargs="+", type=float, default=[-20.0, -12.0], metavar="DB", help="(default: %(default)s)")
    parser.add_argument("--gains", nargs="+", type=float, default=[0.0, 6.0], metavar="DB", help="(default: %(default)s)")
    parser.add_argument("--conversations", type=int, default=6, help="of each corpus, level and gain (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/bleed"), help="folder of the result (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write ``bleed.json``; 0 on success."""
    root = data_directory(args.data)
    acoustic = load_models(recognizer="none").acoustic
    rates: list[Rates] = []
    for corpus in args.corpora:
        clips = load_clips(root, [corpus])
        if len({clip.speaker for clip in clips}) < 2:
            raise ConfigError(f"Of {corpus} there are no two speakers in {root}.")
        conditions = [(level, gain) for level in args.levels for gain in args.gains] + [(None, 0.0)]
        for level, gain in conditions:
            found = Rates(corpus, level, gain)
            for number in range(args.conversations):
                # The same conversations under all conditions.
                random = np.random.default_rng([args.seed, number])
                judge_conversation(acoustic, converse(root, clips, random, level, gain), found)
            rates.append(found)
            print(found.line(), flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / RESULT).write_text(json.dumps([asdict(one) for one in rates], indent=1) + "\n", encoding="utf-8")
    for level in [*args.levels, None]:
        those = [one for one in rates if one.bleed_db == level]
        total = Rates("all", level, 0.0)
        for name in ("bleed", "hits", "long_bleed", "long_hits", "own", "false_alarms", "mixed"):
            setattr(total, name, sum(getattr(one, name) for one in those))
        print(total.line().replace(" gain  +0 dB", ""))
    print(f"written: {args.out / RESULT}")
    return 0


def converse(
    root: Path, clips: Sequence[Clip], random: np.random.Generator, bleed_db: float | None, gain_db: float
) -> Conversation:
    """Two speakers of a corpus, drawn by chance, in a room.

    Parameters
    ----------
    bleed_db
        Level of either voice in the other's microphone, relative to its own; ``None``: it is not there at all.
    gain_db
        By how much the second microphone is more sensitive.
    """
    speakers = random.choice(sorted({clip.speaker for clip in clips}), 2, replace=False)
    of_each = [[audio_file(root, clip) for clip in clips if clip.speaker == speaker] for speaker in speakers]
    length = round((SECONDS + 30.0) * SAMPLE_RATE)
    dry = np.zeros((2, length), np.float32)
    at = SAMPLE_RATE // 2
    while at < SECONDS * SAMPLE_RATE:
        who = int(random.integers(2))
        turn = _spoken(of_each[who], random, 0.0)
        end = _say(dry[who], turn, at)
        chance = random.random()
        if chance < 0.5:
            # The other interrupts, or throws in a few words softly.
            soft = chance >= 0.3
            reply = _spoken(of_each[1 - who], random, -10.0 if soft else 0.0)
            if soft:
                reply = reply[: round(random.uniform(0.6, 2.0) * SAMPLE_RATE)]
            end = max(end, _say(dry[1 - who], reply, at + round(random.uniform(0.0, 0.7) * len(turn))))
        at = end + round(random.uniform(0.3, 1.6) * SAMPLE_RATE)
    dry = dry[:, :at]
    reverberation = random.uniform(0.2, 0.5)
    voices, heard = [], []
    for who in (0, 1):
        voices.append(_through(dry[who], room_response(reverberation, 0.3, random), 0.0, 0))
        distance = random.uniform(1.0, 2.0)
        late = round(distance / 343.0 * SAMPLE_RATE)
        heard.append(_through(dry[who], room_response(reverberation, distance, random), bleed_db, late))
    noise = random.normal(0.0, _factor(NOISE_DB), dry.shape).astype(np.float32)
    first = voices[0] + heard[1] + noise[0]
    second = (voices[1] + heard[0] + noise[1]) * np.float32(_factor(gain_db))
    return Conversation((voices[0], voices[1]), (first, second))


def judge_conversation(acoustic: AcousticModel, conversation: Conversation, rates: Rates) -> None:
    """Find the utterances in both microphones, have each judged, and count them into `rates`."""
    watch = BleedWatch(2)
    found = []
    for who, sound in enumerate(conversation.microphones):
        flags, spans = _voice(sound)
        watch.hear(who, _windows(acoustic, sound, flags))
        watch.end(who)
        found.append((flags, spans))
    alone = [_voice(voice)[0] for voice in conversation.voices]
    for who, (flags, spans) in enumerate(found):
        for span in spans:
            chunks = slice(span.first // DETECTOR_CHUNK, -(-span.end // DETECTOR_CHUNK))
            heard = flags[chunks]
            share = float((alone[who][chunks] & heard).sum() / max(heard.sum(), 1))
            judged = watch.judge(who, span)
            marked = judged is not None and judged >= BLEED
            if share >= OWN_LEAST:
                rates.own += 1
                rates.false_alarms += marked
            elif share <= BLEED_MOST and bool((alone[1 - who][chunks] & heard).any()):
                rates.bleed += 1
                rates.hits += marked
                if heard.sum() * DETECTOR_CHUNK >= LABELLED_SECONDS * SAMPLE_RATE:
                    rates.long_bleed += 1
                    rates.long_hits += marked
            else:
                rates.mixed += 1


def _spoken(files: Sequence[Path], random: np.random.Generator, above_db: float) -> FloatArray:
    """A recording at the usual level, give or take 4 dB."""
    samples = read_audio(files[int(random.integers(len(files)))])
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    power = np.square(frames).mean(axis=1)
    # Pauses do not count: 30 dB below the loudest 10 ms nobody speaks.
    level = np.sqrt(power[power >= power.max() * 1e-3].mean())
    scaled: FloatArray = samples * np.float32(_factor(LEVEL_DB + above_db + random.uniform(-4.0, 4.0)) / level)
    return scaled


def _say(track: FloatArray, samples: FloatArray, at: int) -> int:
    """Add a clip to a voice; where it ends."""
    part = samples[: len(track) - at]
    track[at : at + len(part)] += part
    return at + len(part)


def _through(dry: FloatArray, response: FloatArray, level_db: float | None, late: int) -> FloatArray:
    """`dry` in a room, as loud as it was plus `level_db` (``None``: not at all), `late` samples later."""
    if level_db is None:
        return np.zeros_like(dry)
    length = len(dry) + len(response)
    wet = np.fft.irfft(np.fft.rfft(dry, length) * np.fft.rfft(response, length), length)
    wet = np.concatenate([np.zeros(late), wet])[: len(dry)]
    power = np.square(wet).mean()
    factor = _factor(level_db) * np.sqrt(np.square(dry).mean() / power) if power > 0 else 0.0
    moved: FloatArray = (wet * factor).astype(np.float32)
    return moved


def _factor(decibels: float) -> float:
    return float(10.0 ** (decibels / 20.0))


def _voice(samples: FloatArray) -> tuple[NDArray[np.bool_], list[Span]]:
    """Whether there is voice, by chunk of the detector, and the utterances."""
    activity = VoiceDetector().process(samples, 0)
    segmenter = Segmenter()
    marks = segmenter.process(activity) + segmenter.finish(len(samples), EndReason.STREAM_END)
    return activity.probabilities >= VOICE, [mark.span for mark in marks if isinstance(mark, UtteranceEnd)]


def _windows(acoustic: AcousticModel, samples: FloatArray, flags: NDArray[np.bool_]) -> WindowScores:
    """What the encoder's stream hands on, without the scores."""
    hop, window = acoustic.hop, acoustic.window
    energies = acoustic.band_energies(samples)
    count = (len(samples) - window) // hop + 1
    first = acoustic.bands_per_window - 1
    middles = (np.arange(count) * hop + window // 2) // DETECTOR_CHUNK
    voiced = flags[np.minimum(middles, len(flags) - 1)]
    nothing = np.empty((count, 0), np.float32)
    return WindowScores(0, hop, window, nothing, nothing, nothing, voiced, energies[first : first + count])
