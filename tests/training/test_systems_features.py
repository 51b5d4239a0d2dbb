"""What openSMILE says about clips: widths, levels, derivatives, prosody, and the cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("torch")

from training.corpora import Clip, load_clips
from training.systems import acoustic_features
from training.systems.acoustic_features import (
    CONTOURS,
    EGEMAPS,
    LOW_LEVEL_WIDTH,
    MFCC,
    MFCC_WIDTH,
    PEAK,
    PROSODY_WIDTH,
    FrontEnd,
    Standardisation,
    equalised,
    features_of,
    low_level,
    mfcc_with_derivatives,
    prosody,
    standardised_by_speaker,
    with_derivatives,
)

RATE = 16_000


@pytest.fixture(scope="module")
def tone() -> np.ndarray:
    """Half a second of a voice-like sound of 200 Hz."""
    time = np.arange(RATE // 2) / RATE
    wave = sum(np.sin(2 * np.pi * 200 * k * time) / k for k in range(1, 9))
    return (0.2 * wave).astype(np.float32)


@pytest.mark.parametrize("front_end", [EGEMAPS, MFCC, CONTOURS])
def test_front_ends_give_what_they_say(front_end: FrontEnd, tone: np.ndarray) -> None:
    pytest.importorskip("opensmile", reason="install the 'training' extra")
    for samples in (tone, tone[:100], np.zeros(RATE, np.float32), tone[:0]):
        rows = front_end(samples)
        assert rows.dtype == np.float32
        assert rows.shape[1] == front_end.width
        assert len(rows) == 1 if front_end is EGEMAPS else len(rows) >= 10
        assert np.isfinite(rows).all()


def test_energies_pitch_and_derived_widths_are_right(tone: np.ndarray) -> None:
    pytest.importorskip("opensmile", reason="install the 'training' extra")
    rows, contours = MFCC(tone), CONTOURS(tone)
    frames = np.lib.stride_tricks.sliding_window_view(tone.astype(float) * 32_767, 400)[::160]
    assert rows[:, 12] == pytest.approx(np.log((frames**2).sum(axis=1)), abs=1e-3)
    assert np.median(contours[:, 0]) == pytest.approx(200, abs=3)
    assert mfcc_with_derivatives(rows).shape == (len(rows), MFCC_WIDTH)
    assert low_level(contours).shape == (len(contours), LOW_LEVEL_WIDTH)
    assert prosody(contours).shape == (PROSODY_WIDTH,)


@given(arrays(np.float32, st.tuples(st.integers(1, 9), st.just(2)), elements=st.floats(-8, 8, width=16)))
@settings(max_examples=40)
def test_derivatives_follow_the_regression_formula(rows: np.ndarray) -> None:
    derived = with_derivatives(rows, 2)
    assert derived.shape == (len(rows), 6)
    for order in (1, 2):
        before = derived[:, 2 * (order - 1) : 2 * order]
        for frame in range(len(rows)):
            at = [before[min(max(frame + shift, 0), len(rows) - 1)] for shift in (-2, -1, 0, 1, 2)]
            expected = (at[3] - at[1] + 2 * (at[4] - at[0])) / 10
            assert derived[frame, 2 * order : 2 * order + 2] == pytest.approx(expected, abs=1e-4)


@given(
    arrays(np.float32, st.integers(1, 30), elements=st.floats(-1, 1, width=16)),
    st.floats(0.25, 4.0),
)
@settings(max_examples=40)
def test_levels_are_equal_whatever_the_gain(samples: np.ndarray, gain: float) -> None:
    level = equalised(samples)
    if not samples.any():
        assert not level.any()
        return
    assert np.abs(level).max() == pytest.approx(PEAK, rel=1e-5)
    assert equalised((samples * np.float32(gain)).astype(np.float32)) == pytest.approx(level, rel=1e-3, abs=1e-6)


def test_prosody_summarises_contours() -> None:
    contours = np.zeros((5, CONTOURS.width), np.float32)
    contours[:, 0] = [0, 100, 200, 300, 0]
    contours[:, 1] = [0, 1, 1, 1, 0]
    contours[:, 5] = 2.0
    pitch, logarithm, voicing, loudness, harmonics = prosody(contours).reshape(5, 7)
    assert pitch[0] == pytest.approx(200)
    assert pitch[2] == pytest.approx(10_000), "Hz per second: 100 Hz in every frame of 10 ms"
    assert pitch[4:] == pytest.approx([120, 280, 160])
    assert logarithm[0] == pytest.approx(np.log([100, 200, 300]).mean())
    assert voicing[3] == pytest.approx(0.5)
    assert loudness == pytest.approx([2, 0, 0, 0.5, 2, 2, 0])
    assert harmonics == pytest.approx([0, 0, 0, 0.5, 0, 0, 0])
    silent = prosody(np.zeros((1, CONTOURS.width), np.float32))
    assert np.isfinite(silent).all()


def test_standardisation_knows_constants() -> None:
    rows = np.array([[1.0, 5.0], [3.0, 5.0]])
    scale = Standardisation(rows)
    assert scale(rows).tolist() == [[-1, 0], [1, 0]]
    assert scale(np.array([[2.0, 7.0]])).tolist() == [[0, 0]]


def test_standardised_by_speaker_takes_speakers_apart() -> None:
    rows = np.array([[0.0], [2.0], [10.0], [30.0]])
    assert standardised_by_speaker(rows, ["a", "a", "b", "b"]).tolist() == [[-1], [1], [-1], [1]]


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    soundfile = pytest.importorskip("soundfile")
    made = []
    for number in range(4):
        file = tmp_path / f"{number}.wav"
        wave = np.full(1000 + number, 0.1 * (number + 1))
        soundfile.write(file, wave, RATE, subtype="FLOAT")
        name = f"{'xy'[number % 2]}/{number}.wav"
        made.append(Clip(name, "xy"[number % 2], "en", f"s{number}", "joy", "", 0.1, "", file=file))
    return made


def test_features_are_extracted_once(clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acoustic_features, "SAVE_EVERY", 1)
    seen: list[int] = []

    def extract(samples: np.ndarray) -> np.ndarray:
        seen.append(len(samples))
        return np.full((len(samples) % 7 + 1, 2), samples.max(), np.float32)

    front_end, cache = FrontEnd("toy", 2, "", ""), tmp_path / "cache"
    some = features_of(clips[:3], front_end, cache, extract=extract)
    every = features_of([*reversed(clips), clips[0]], front_end, cache, extract=extract)
    assert sorted(seen) == [1000, 1001, 1002, 1003]
    assert [len(rows) for rows in every] == [len(rows) for rows in (*reversed([*some, every[0]]), some[0])]
    assert [float(rows[0, 0]) for rows in every] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.1])
    level = features_of(clips, front_end, cache, levels_equalised=True, extract=extract)
    assert [float(rows[0, 0]) for rows in level] == pytest.approx([PEAK] * 4)
    assert len(seen) == 8
    assert not list(cache.glob("*.part"))


def test_a_changed_file_is_read_again(clips: list[Clip], tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")

    def extract(samples: np.ndarray) -> np.ndarray:
        return np.full((1, 2), len(samples), np.float32)

    front_end = FrontEnd("toy", 2, "", "")
    features_of(clips, front_end, tmp_path, extract=extract)
    soundfile.write(clips[0].file, np.zeros(2000), RATE, subtype="FLOAT")
    assert features_of(clips[:1], front_end, tmp_path, extract=extract)[0][0, 0] == 2000


def test_opensmile_reads_a_real_clip_from_the_table(data_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("opensmile", reason="install the 'training' extra")
    angry = next(clip for clip in load_clips(data_dir, ["RAVDESS"]) if clip.emotion4 == "anger")
    loud, level = (features_of([angry], EGEMAPS, tmp_path, equal)[0] for equal in (False, True))
    assert loud.shape == level.shape == (1, 88)
    pitch, loudness = 0, 10
    assert loud[0, pitch] == pytest.approx(level[0, pitch], rel=0.02), "the level says nothing about the pitch"
    assert loud[0, loudness] != pytest.approx(level[0, loudness], rel=0.02), "but the loudness changes with it"
