"""Corpora, speaker-disjoint parts, the voiced rules, crops, augmentation and figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from realtime_ser.errors import ConfigError  # noqa: E402
from training.acoustic import BUNDLE_SETTINGS, bundle_data  # noqa: E402
from training.acoustic_data import Augmentation, CropSampler, Pool, label_of  # noqa: E402
from training.acoustic_network import AcousticShape  # noqa: E402
from training.corpora import FOUR_CLASSES, Clip, load_clips  # noqa: E402
from training.features import ClipStore, voiced_frames, voiced_windows  # noqa: E402
from training.loop import rate_share  # noqa: E402
from training.metrics import (  # noqa: E402
    expected_calibration_error,
    fit_temperature,
    selective,
    softmax,
    speaker_interval,
    threshold_for_risk,
    unweighted_accuracy,
    weighted_accuracy,
)
from training.splits import (  # noqa: E402
    BUNDLE_TEST,
    BUNDLE_VALIDATION,
    check_disjoint,
    split_by_speaker,
    telling_sentences,
)

SHAPE = AcousticShape(bands=12, kernel=251, width=8, feature=32)
HEADER = "path\tcorpus\tlang\tspeaker\tgender\temotion\temotion4\tseconds\ttext\textra\n"


def clip(number: int, speaker: str = "A_1", emotion4: str = "anger", corpus: str = "A") -> Clip:
    return Clip(f"a/{number:03}.flac", corpus, "en", speaker, emotion4, emotion4, 1.0, "")


def store_of(clips: list[Clip], seconds: float = 1.5) -> ClipStore:
    """Clips whose samples say which clip they are of; voiced in the middle."""
    samples = int(seconds * 16_000)
    chunks = samples // 512
    voice = np.where((np.arange(chunks) > 5) & (np.arange(chunks) < chunks - 5), 0.9, 0.1).astype(np.float32)
    audio = np.concatenate([np.full(samples, index, np.int16) for index in range(len(clips))])
    return ClipStore(tuple(clips), audio, np.full(len(clips), samples), np.tile(voice, len(clips)), "key")


def test_manifest_reader(tmp_path: Path) -> None:
    folder = tmp_path / "corpora"
    folder.mkdir()
    rows = ['b/2.opus\tB\tpl\tB_  X\tF\tfear\t\t2.5\tsaid "so"\t', "a/1.flac\tA\ten\tA_1\tM\tanger\tanger\t1.0\t\t"]
    (folder / "manifest.tsv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    first, second = load_clips(tmp_path)
    assert (first.path, first.lossless, first.emotion4) == ("a/1.flac", True, "anger")
    assert (second.speaker, second.lossless, second.emotion4, second.text) == ("B_X", False, "", 'said "so"')
    assert load_clips(tmp_path, ["B"]) == [second]
    with pytest.raises(ConfigError, match="No clips of C"):
        load_clips(tmp_path, ["A", "C"])
    (folder / "manifest.tsv").write_text(HEADER + rows[0] + "\n" + rows[0] + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"b/2\.opus"):
        load_clips(tmp_path)


def test_corpora_here(data_dir: Path) -> None:
    clips = load_clips(data_dir)
    assert len({one.path for one in clips}) == len(clips)
    for one in clips[::500]:
        assert (data_dir / "corpora" / one.path).is_file()
    corpora = BUNDLE_SETTINGS.corpora
    data = bundle_data(data_dir, corpora)
    for part in (data.train, data.validation, data.test):
        assert {(one.corpus, one.emotion4) for one in part if one.emotion4} == {
            (corpus, emotion) for corpus in corpora for emotion in FOUR_CLASSES
        }
    # Five of seven sentences of an emotion are spoken in it alone in ASED, and in no other corpus.
    assert {one.sentence for one in data.validation + data.test if one.corpus == "ASED"} == {"ASED_common01", "ASED_common02"}
    assert {sentence.split("_")[0] for sentence in telling_sentences(clips)} == {"ASED"}


def test_split_keeps_speakers_apart() -> None:
    clips = [clip(number, f"A_{number % 4}") for number in range(12)]
    split = split_by_speaker(clips, frozenset({"A_2"}), frozenset({"A_3"}))
    assert [len(part) for part in (split.train, split.validation, split.test)] == [6, 3, 3]
    with pytest.raises(ValueError, match="without a clip: A_9"):
        split_by_speaker(clips, frozenset({"A_9"}), frozenset({"A_3"}))
    with pytest.raises(ValueError, match="for validation and for test: A_3"):
        split_by_speaker(clips, frozenset({"A_3"}), frozenset({"A_3"}))
    with pytest.raises(ValueError, match="several: A_1"):
        check_disjoint({"train": clips[:2], "test": [replace(clips[1], path="other.flac")]})
    with pytest.raises(ValueError, match="train part"):
        split_by_speaker(clips[2:4], frozenset({"A_2"}), frozenset({"A_3"}))


def test_a_sentence_of_one_class_alone_tells_the_label() -> None:
    def said(sentence: str, emotion4: str) -> Clip:
        return replace(clip(0, "A_1"), sentence=sentence, emotion4=emotion4)

    clips = [said("1", "anger"), said("1", "sadness"), said("2", "anger"), said("2", ""), said("", "anger")]
    assert telling_sentences(clips) == {"2"}


def test_the_bundle_s_parts_have_no_common_speaker() -> None:
    assert not BUNDLE_TEST & BUNDLE_VALIDATION


def test_only_the_four_have_a_class() -> None:
    def labelled(emotion: str, emotion4: str) -> Clip:
        return Clip("a.wav", "A", "en", "A_1", emotion, emotion4, 1.0, "")

    assert label_of(labelled("calm", "")) is None
    assert label_of(labelled("fear", "")) is None
    assert label_of(labelled("sadness", "sadness")) == 3


def test_frames_are_voiced_by_the_last_complete_chunk() -> None:
    """Frame f ends at 160 f + 407; chunk c is complete at 512 (c + 1)."""
    probabilities = np.array([0.0, 0.5, 0.0, 0.9], np.float32)
    flags = voiced_frames(probabilities, 20, SHAPE)
    expected = []
    for frame in range(20):
        complete = (160 * frame + 407) // 512
        expected.append(complete > 0 and complete <= 4 and probabilities[complete - 1] >= 0.5)
    assert flags.tolist() == expected
    assert flags.tolist()[:11] == [False] * 4 + [True] * 4 + [False] * 3


def test_windows_are_voiced_by_the_chunk_of_their_centre() -> None:
    probabilities = np.array([0.0, 0.0, 0.0, 1.0, 0.4], np.float32)
    # Centres at 2000, 2160, 2320, 2480, 2640: chunks 3, 4, 4, 4, 5 (which is not complete).
    assert voiced_windows(probabilities, 5, SHAPE).tolist() == [True, False, False, False, False]


@pytest.mark.parametrize("waveform", [False, True])
def test_crops_come_from_their_clip_and_windows_are_voiced(waveform: bool) -> None:
    clips = [clip(number, f"A_{number % 2}", FOUR_CLASSES[number % 4]) for number in range(8)]
    store = store_of(clips)
    frames = SHAPE.frame_count(int(store.samples[0]))
    bands = [np.full((frames, SHAPE.bands), index, np.float16) for index in range(8)]
    members = np.array([0, 1, 2, 3, 4, 5, 6])
    pool = Pool(store, members, members % 4, bands)
    sampler = CropSampler({"A": [pool]}, {"A": 1.0}, SHAPE, seed=1, windows=5, waveform=waveform)
    batch = sampler.draw(40, 60)
    value = batch.crops[:, 0] * 32_768 if waveform else batch.crops[:, 0, 0]
    # The crop is of a member with the label that the batch says, never of clip 7, which may not be drawn.
    assert set((value.long() % 4 == batch.labels).tolist()) == {True}
    assert value.max() < 7
    assert set(batch.labels.tolist()) == {0, 1, 2, 3}
    assert batch.starts.min() >= 0
    assert batch.starts.max() + SHAPE.window_bands <= 60
    assert batch.voiced.shape == (40, 60)
    # Warm-up clips are of the same speaker: clip numbers of the same parity.
    warm = batch.warm[:, 0] * 32_768 if waveform else batch.warm[:, 0, 0]
    assert set(((warm.reshape(40, -1) - value[:, None]) % 2).flatten().tolist()) == {0.0}
    assert ((batch.warm_count == 0) | (batch.warm_count >= 30)).all()


def test_shares_must_name_the_corpora() -> None:
    with pytest.raises(ValueError, match="shares"):
        CropSampler({}, {"A": 1.0}, SHAPE, seed=1)


def test_drawn_windows_are_voiced_ones() -> None:
    store = store_of([clip(number, emotion4=FOUR_CLASSES[number]) for number in range(4)])
    # The samples count up, so that a crop shows where it was cut.
    ramp = np.tile(np.arange(24_000, dtype=np.int16) // 16, 4)
    store = replace(store, audio=ramp)
    pool = Pool(store, np.arange(4), np.arange(4), [])
    batch = CropSampler({"A": [pool]}, {"A": 1.0}, SHAPE, seed=2, waveform=True).draw(20, 60)
    allowed = voiced_windows(store.probabilities_of(0), SHAPE.window_count(24_000), SHAPE)
    first = torch.round(batch.crops[:, 0] * 32_768 / 10).long()
    assert allowed[(first[:, None] + batch.starts).numpy()].all()


def test_augmentation_is_finite_repeatable_and_may_leave_voices_alone() -> None:
    noise = np.random.default_rng(0).normal(-9, 1, (1_200, SHAPE.bands)).astype(np.float32)
    crops, warm = torch.randn(16, 50, SHAPE.bands) - 8, torch.randn(16, 30, SHAPE.bands) - 8
    voiced = torch.ones(16, 50, dtype=torch.bool)
    one, two = (Augmentation(SHAPE, noise, seed=4)(crops, voiced, warm) for _ in range(2))
    torch.testing.assert_close(one, two)
    assert one[0].shape == crops.shape
    assert one[1].shape == warm.shape
    assert torch.isfinite(one[0]).all()
    with pytest.raises(ValueError, match="10 s"):
        Augmentation(SHAPE, noise[:900], seed=4)


def test_warping_moves_a_peak_to_the_lower_band_when_reading_higher() -> None:
    augment = Augmentation(AcousticShape(bands=80, layout="mel"), np.zeros((1_000, 80), np.float32), seed=0)
    spectrum = torch.zeros(80)
    spectrum[50] = 1.0
    neutral = int(np.abs(augment.factors - 1).argmin())
    torch.testing.assert_close(spectrum @ augment.warps[neutral], spectrum, atol=1e-4, rtol=0)
    assert (spectrum @ augment.warps[-1]).argmax() < 50
    assert (spectrum @ augment.warps[0]).argmax() > 50


def test_rate_rises_stays_and_falls_to_nothing() -> None:
    assert rate_share("plateau", 0.05) == pytest.approx(0.5)
    assert rate_share("plateau", 0.3) == 1.0
    assert rate_share("plateau", 0.75) == pytest.approx(0.5)
    assert rate_share("plateau", 1.0) == pytest.approx(0.0)


def test_accuracies() -> None:
    labels, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert weighted_accuracy(labels, predicted) == 0.75
    assert unweighted_accuracy(labels, predicted) == pytest.approx((2 / 3 + 1) / 2)


def test_temperature_is_recovered() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (20_000, 3))
    labels = np.array([random.choice(3, p=row) for row in softmax(logits)])
    assert fit_temperature(labels, logits * 2.5) == pytest.approx(2.5, rel=0.05)
    assert expected_calibration_error(labels, softmax(logits)) < 0.02
    assert expected_calibration_error(labels, softmax(logits * 5)) > 0.1


def test_threshold_keeps_the_risk_with_the_largest_coverage() -> None:
    confidence = np.linspace(0.5, 1.0, 1_000)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.zeros(1_000, np.int64)
    labels[:400:2] = 1  # Half of the lower 400 are wrong: all of it 20 %.
    assert threshold_for_risk(labels, probabilities, 0.2) == pytest.approx(0.5)
    threshold = threshold_for_risk(labels, probabilities, 0.1)
    coverage, accuracy = selective(labels, probabilities, threshold)
    assert accuracy >= 0.9
    assert coverage == pytest.approx(0.75, abs=0.01)
    assert threshold_for_risk(1 - labels * 0, probabilities, 0.1) == 1.0
    assert np.isnan(selective(labels, probabilities, 1.1)[1])


def test_interval_is_over_speakers_not_utterances() -> None:
    """Two speakers, one always right and one always wrong: the interval is everything."""
    right = np.array([1.0] * 50 + [0.0] * 50)
    low, high = speaker_interval(lambda rows: float(right[rows].mean()), ["a"] * 50 + ["b"] * 50)
    assert (low, high) == (0.0, 1.0)
