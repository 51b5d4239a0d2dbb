"""What is claimed of a degradation is measured back from its samples; and a seed gives the same samples again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")
pytest.importorskip("pyroomacoustics")

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.errors import ConfigError
from training.corpora import Clip
from training.degrade import (
    MeetingNoise,
    active_level,
    band_limited,
    clipped,
    random_degradation,
    reverberated,
    rounded,
    scaled,
    through_mp3,
    through_opus,
    through_telephone,
    variant_of,
    with_noise,
)
from training.features import open_store
from training.rooms import reverberation_time, room_response

RATE = 16_000


def speech_like(seconds: float = 1.5, seed: int = 0) -> np.ndarray:
    """A voice of 20 harmonics in syllables, with half a second of silence on either side."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * 150 * order * time + order) / order for order in range(1, 21))
    voice = 0.05 * wave * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time)) + 1e-4 * random.standard_normal(len(time))
    return np.pad(voice, RATE // 2).astype(np.float32)


def power_between(samples: np.ndarray, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(spectrum[(frequency >= low) & (frequency < high)].sum())


def meetings(folder: Path, pause: float = 4.0) -> Path:
    """A recording of which the first seconds are a quiet pause, and then somebody talks; and its turns."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(3)
    quiet, loud = round(pause * RATE), 3 * RATE
    samples = np.concatenate([1e-3 * random.standard_normal(quiet), 0.1 * random.standard_normal(loud)])
    soundfile.write(folder / "trn01.flac", samples, RATE)
    soundfile.write(folder / "tst01.flac", samples[::-1], RATE)
    (folder / "turns.rttm").write_text(
        f"SPEAKER trn01 1 {pause} 3.0 <NA> <NA> A <NA> <NA>\nSPEAKER tst01 1 0.0 3.0 <NA> <NA> B <NA> <NA>\n", encoding="utf-8"
    )
    return folder


@pytest.mark.parametrize("distance", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("rt60", [0.3, 0.6])
def test_a_room_rings_as_long_as_it_says(rt60: float, distance: float) -> None:
    response = room_response(rt60, distance, np.random.default_rng(1))
    assert reverberation_time(response) == pytest.approx(rt60, rel=0.12)


def test_the_direct_sound_comes_first_and_grows_weaker_with_distance() -> None:
    shares = []
    for distance in (0.3, 1.0, 3.0):
        responses = [room_response(0.5, distance, np.random.default_rng(seed)) for seed in range(4)]
        for response in responses:
            assert np.abs(response[:5]).max() == pytest.approx(1.0, abs=0.15)
        shares.append(np.mean([np.square(h[:40]).sum() / np.square(h).sum() for h in responses]))
    assert shares[0] > 2 * shares[1] > 3 * shares[2]


def test_reverberation_time_of_a_known_decay() -> None:
    time = np.arange(RATE) / RATE
    decay = np.random.default_rng(0).standard_normal(RATE) * 10 ** (-3 * time / 0.45)
    assert reverberation_time(decay) == pytest.approx(0.45, rel=0.03)


@pytest.mark.parametrize(("rt60", "distance"), [(0.05, 1.0), (3.0, 1.0), (0.5, 0.1), (0.5, 9.0)])
def test_a_room_outside_the_ranges_is_refused(rt60: float, distance: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        room_response(rt60, distance, np.random.default_rng(0))


def test_reverberation_keeps_length_level_and_onset() -> None:
    samples = speech_like()
    wet = reverberated(samples, room_response(0.5, 1.0, np.random.default_rng(2)))
    assert wet.shape == samples.shape
    assert np.sqrt(np.mean(wet**2)) == pytest.approx(np.sqrt(np.mean(samples**2)), rel=0.01)
    # Nothing rings before the voice begins, and something does after it has ended.
    assert np.abs(wet[: RATE // 2 - 50]).max() < 1e-3
    end = RATE // 2 + int(1.5 * RATE)
    assert active_level(wet[end : end + 1_600]) > 10 * active_level(samples[end : end + 1_600])


@given(ratio=st.floats(-5, 40), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_ratio_of_speech_to_noise_is_what_was_asked_for(ratio: float, seed: int) -> None:
    samples = speech_like(0.6, seed)
    noise = 0.01 * np.random.default_rng(seed).standard_normal(len(samples)).astype(np.float32)
    mixed = with_noise(samples, noise, ratio)
    # A mixture that would be clipped is scaled down as a whole; the least-squares factor of the speech finds by how much.
    factors, *_ = np.linalg.lstsq(np.stack([samples, noise], axis=1).astype(np.float64), mixed.astype(np.float64), rcond=None)
    added = mixed - factors[0] * samples
    measured = 20 * np.log10(active_level(factors[0] * samples) / np.sqrt(np.mean(added.astype(np.float64) ** 2)))
    assert measured == pytest.approx(ratio, abs=0.1)


def test_the_active_level_does_not_count_pauses() -> None:
    tone = 0.2 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    assert active_level(tone) == pytest.approx(0.2 / np.sqrt(2), rel=0.01)
    assert active_level(np.pad(tone, 3 * RATE)) == pytest.approx(0.2 / np.sqrt(2), rel=0.01)
    assert active_level(np.zeros(RATE)) == 0.0
    assert active_level(np.zeros(0)) == 0.0


def test_a_band_limit_keeps_the_band_and_removes_the_rest() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)
    narrow = band_limited(noise, 300, 3_400)
    assert power_between(narrow, 400, 3_000) == pytest.approx(power_between(noise, 400, 3_000), rel=0.02)
    assert power_between(narrow, 0, 150) < 1e-4 * power_between(noise, 0, 150)
    assert power_between(narrow, 5_500, 8_000) < 1e-4 * power_between(noise, 5_500, 8_000)


@pytest.mark.parametrize("codec", ["mu-law", "gsm"])
def test_a_telephone_leaves_nothing_above_4_khz_and_keeps_the_voice(codec: str) -> None:
    samples = speech_like()
    heard = through_telephone(samples, codec)
    assert heard.shape == samples.shape
    assert power_between(heard, 4_300, 8_000) < 1e-3 * power_between(heard, 300, 3_400)
    expected = band_limited(samples, 300, 3_400)
    assert np.corrcoef(np.abs(heard), np.abs(expected))[0, 1] > 0.7
    assert not np.array_equal(heard, expected)


def test_opus_spends_the_bits_it_is_given_and_loses_more_with_fewer() -> None:
    samples = speech_like()
    lost = [float(np.mean((through_opus(samples, rate) - samples) ** 2)) for rate in (8, 16, 64)]
    assert lost[0] > lost[1] > lost[2] > 0


@pytest.mark.parametrize("change", [through_opus, through_mp3])
def test_a_codec_keeps_length_and_level(change: object) -> None:
    samples = speech_like()
    heard = change(samples)  # type: ignore[operator]
    assert heard.shape == samples.shape
    assert active_level(heard) == pytest.approx(active_level(samples), rel=0.15)


# A third of the samples is not silent.
@given(share=st.floats(0.001, 0.3))
@settings(max_examples=20, deadline=None)
def test_the_share_of_clipped_samples_is_what_was_asked_for(share: float) -> None:
    samples = speech_like(0.5)
    assert np.mean(np.abs(clipped(samples, share)) >= 1) == pytest.approx(share, abs=2 / len(samples) + 1e-4)


def test_a_lower_level_is_lower_and_on_the_grid_of_16_bits() -> None:
    samples = speech_like()
    quiet = scaled(samples, -30)
    assert 20 * np.log10(active_level(quiet) / active_level(samples)) == pytest.approx(-30, abs=0.1)
    np.testing.assert_array_equal(quiet * 32_768, np.rint(quiet * 32_768))
    assert np.abs(scaled(samples, 40)).max() <= 1.0


@pytest.mark.parametrize("length", [0, 1, 100, 1_000])
def test_very_short_clips_pass(length: int, tmp_path: Path) -> None:
    noise = MeetingNoise.read(meetings(tmp_path / "meetings"), ("trn",))
    responses = [room_response(0.3, 1.0, np.random.default_rng(0))]
    samples = speech_like()[8_000 : 8_000 + length]
    for seed in range(12):
        changed = random_degradation(samples, np.random.default_rng(seed), responses, noise)
        assert changed.shape == samples.shape
        assert np.isfinite(changed).all()


def test_pauses_of_a_meeting_are_where_nobody_has_a_turn(tmp_path: Path) -> None:
    noise = MeetingNoise.read(meetings(tmp_path / "meetings"), ("trn",))
    # Four seconds, less a tenth before the turn and one after the start.
    assert len(noise.pauses) == round(3.8 * RATE)
    assert len(noise.talk) == 7 * RATE
    assert np.std(noise.pauses) == pytest.approx(1e-3, rel=0.1)
    drawn = noise.draw("pauses", 10 * RATE, np.random.default_rng(0))
    assert len(drawn) == 10 * RATE
    with pytest.raises(ConfigError, match="No background"):
        MeetingNoise.read(tmp_path / "meetings", ("dev",))


def test_random_conditions_repeat_with_their_seed_and_differ_without(tmp_path: Path) -> None:
    noise = MeetingNoise.read(meetings(tmp_path / "meetings"), ("trn",))
    responses = [room_response(0.4, 1.0, np.random.default_rng(0))]
    samples = rounded(speech_like())
    made = [random_degradation(samples, np.random.default_rng(seed), responses, noise) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_a_store_of_a_variant_holds_changed_clips_that_do_not_depend_on_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.degrade.VARIANT_ROOMS", 2)
    meetings(tmp_path / "clips" / "meetings")
    clips = []
    for number in range(3):
        path = tmp_path / "corpora" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, speech_like(1.0, number), RATE)
        clips.append(Clip(f"{number}.wav", "own", "xx", f"s{number}", "anger", "anger", 2.0, ""))
    cache = tmp_path / "cache"
    plain = open_store(tmp_path, clips, cache, "own")
    rooms = open_store(tmp_path, clips, cache, "own-rooms", "rooms")
    again = open_store(tmp_path, clips[::-1], cache, "own-rooms", "rooms")
    other = open_store(tmp_path, clips, cache, "own-rooms", "rooms-2")
    assert len({store.key for store in (plain, rooms, again, other)}) == 4
    np.testing.assert_array_equal(rooms.samples, plain.samples)
    for index in range(3):
        np.testing.assert_array_equal(rooms.audio_of(index), again.audio_of(2 - index))
    assert not np.array_equal(rooms.audio, plain.audio)
    assert not np.array_equal(rooms.audio, other.audio)
    assert len(rooms.probabilities) == len(plain.probabilities)


@pytest.mark.parametrize("name", ["room", "rooms-", "rooms-x", "opus-2", ""])
def test_an_unknown_variant_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="variant is called"):
        variant_of(name, tmp_path)
