"""Speakers' profiles: what they hold, what they change, and files that somebody has been at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.acoustic.model import AcousticModel, KnownVoice
from realtime_ser.acoustic.stream import AcousticStream
from realtime_ser.assembly import Models, build_stages, load_models, run_pipeline
from realtime_ser.audio.sources import ArraySource
from realtime_ser.audio.voice import VoiceDetector
from realtime_ser.bundle.loader import Bundle, load_bundle
from realtime_ser.cli import main
from realtime_ser.errors import BundleError, ConfigError
from realtime_ser.profiles import (
    Baseline,
    SpeakerProfile,
    delete_profile,
    known_voice,
    list_profiles,
    networks_of,
    read_profile,
    share_of,
    write_profile,
)
from realtime_ser.session.export.methods import methods_paragraph
from realtime_ser.session.reader import Session
from realtime_ser.session.rescore import compare, rescore
from realtime_ser.types import Output, Verdict, VoiceActivity, WindowScores

NEUTRAL = [0.1, -0.2, 0.3, -0.2]


@pytest.fixture(scope="module")
def folder(random_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that says how profiles are used."""
    return with_speaker(random_bundle, tmp_path_factory.mktemp("speaker") / "bundle")


def with_speaker(bundle: Path, target: Path, **changes: object) -> Path:
    shutil.copytree(bundle, target)
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    facts = {"neutral_logits": NEUTRAL, "frames": 200, "relevance_seconds": 20.0, "largest_share": 0.5, **changes}
    (target / "manifest.json").write_text(json.dumps({**manifest, "speaker": facts}), encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return load_bundle(folder)


@pytest.fixture(scope="module")
def model(bundle: Bundle) -> AcousticModel:
    return AcousticModel.from_bundle(bundle)


@pytest.fixture(scope="module")
def models(folder: Path) -> Models:
    return load_models(folder, "none")


@pytest.fixture(autouse=True)
def own_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Profiles of the tests, not the user's."""
    monkeypatch.setenv("REALTIME_SER_PROFILES", str(tmp_path / "profiles"))
    return tmp_path / "profiles"


def windows_of(model: AcousticModel, samples: np.ndarray, activity: VoiceActivity, cuts: list[int]) -> list[WindowScores]:
    stream = AcousticStream(model)
    results: list[WindowScores] = []
    position = chunks = turn = 0
    while position < len(samples):
        piece = samples[position : position + cuts[turn % len(cuts)]]
        turn += 1
        position += len(piece)
        complete = min(position // activity.chunk, len(activity.probabilities))
        part = None
        if complete > chunks:
            span = type(activity.span)(chunks * activity.chunk, complete * activity.chunk)
            part = VoiceActivity(span, activity.chunk, activity.probabilities[chunks:complete])
            chunks = complete
        results += stream.push(piece, part)
    return results


def profile(bundle: Bundle, **changes: object) -> SpeakerProfile:
    facts = {
        "format": 1,
        "name": "P07",
        "created": "2026-01-01T00:00:00+00:00",
        "networks": networks_of(bundle),
        "voiced_seconds": 60.0,
        "level": -6.0,
        "shape": tuple(np.linspace(2, -2, bundle.manifest.acoustic.bands).tolist()),
        "logits": (0.9, -0.2, 0.3, -0.2),
    }
    return SpeakerProfile(**{**facts, **changes})


# What a profile holds -------------------------------------------------------------------------------------------------------


def test_a_baseline_is_the_mean_of_the_voiced_windows_and_of_the_band_frames_in_their_middle(
    model: AcousticModel, bundle: Bundle, demonstration: np.ndarray
) -> None:
    samples = demonstration[: 16_000 * 20]
    activity = VoiceDetector().process(samples, 0)
    (windows,) = _joined(windows_of(model, samples, activity, [len(samples)]))
    baseline = Baseline(model.bands_per_window)
    for part in windows_of(model, samples, activity, [len(samples)]):
        baseline.add(part, 16_000)
    made = baseline.profile("P", bundle, least=1)
    np.testing.assert_allclose(made.logits, windows["logits"][windows["voiced"]].mean(axis=0), atol=1e-4)
    count = (len(samples) - model.band_receptive) // model.hop + 1
    energies = model.band_energies(samples[: model.band_receptive + (count - 1) * model.hop])
    voiced = np.flatnonzero(windows["voiced"])
    middle = voiced + model.bands_per_window - 1 - (model.bands_per_window - 1) // 2
    # The frames of the first windows came with no window of their own.
    middle = middle[middle >= model.bands_per_window - 1]
    mean = energies[middle].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(np.array(made.shape) + made.level, mean, atol=2e-3)
    assert made.voiced_seconds == pytest.approx(len(voiced) * 0.01)


def _joined(parts: list[WindowScores]) -> list[dict[str, np.ndarray]]:
    return [{name: np.concatenate([getattr(part, name) for part in parts]) for name in ("logits", "voiced")}]


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(100, 20_000), min_size=1, max_size=5))
def test_no_cut_of_the_input_changes_a_profile(
    model: AcousticModel, bundle: Bundle, demonstration: np.ndarray, cuts: list[int]
) -> None:
    samples = demonstration[: 16_000 * 6]
    activity = VoiceDetector().process(samples, 0)
    made = []
    for lengths in ([len(samples)], cuts):
        baseline = Baseline(model.bands_per_window)
        for part in windows_of(model, samples, activity, lengths):
            baseline.add(part, 16_000)
        made.append(baseline.profile("P", bundle, least=0.5))
    for name in ("level", "shape", "logits", "voiced_seconds"):
        np.testing.assert_allclose(getattr(made[0], name), getattr(made[1], name), atol=1e-3)


def test_too_little_voice_makes_no_profile(model: AcousticModel, bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="Only 0 s of voice were heard; a profile needs 15 s"):
        Baseline(model.bands_per_window).profile("P", bundle)


# What a profile changes -----------------------------------------------------------------------------------------------------


def test_the_voice_takes_the_place_of_the_prior_and_the_offset_is_taken_off(
    model: AcousticModel, demonstration: np.ndarray
) -> None:
    samples = demonstration[16_000:48_000]
    activity = VoiceDetector().process(samples, 0)
    offset = np.array([0.5, 0.0, -0.25, 1.0], np.float32)
    # With the bundle's own prior and no level known, only the offset differs.
    same = KnownVoice(0.0, model.prior_shape, model.prior_frames, offset)
    shifted = _joined(windows_of(model.for_voice(same), samples, activity, [1_000]))[0]["logits"]
    neutral = KnownVoice(0.0, model.prior_shape, model.prior_frames, np.zeros(4, np.float32))
    plain = _joined(windows_of(model.for_voice(neutral), samples, activity, [1_000]))[0]["logits"]
    np.testing.assert_allclose(plain - shifted, np.tile(offset, (len(plain), 1)), atol=1e-5)
    mean = model.for_voice(KnownVoice(-3.0, np.linspace(1, -1, model.bands), 1e9, offset)).running_mean()
    energies = np.full((2, model.bands), -3.0, np.float32) + np.linspace(1, -1, model.bands, dtype=np.float32)
    # What sounds as the profile says is zero from the first frame on.
    np.testing.assert_allclose(mean.apply(energies, np.array([True, False])), 0.0, atol=1e-5)


def test_the_share_grows_with_the_voice_that_was_heard(bundle: Bundle, model: AcousticModel) -> None:
    facts = bundle.manifest.speaker
    assert facts is not None
    assert share_of(facts, 20.0) == pytest.approx(0.25)
    assert share_of(facts, 0.0) == 0.0
    assert share_of(facts, 1e9) == pytest.approx(0.5)
    voice = known_voice(profile(bundle, voiced_seconds=20.0), bundle, model)
    np.testing.assert_allclose(voice.offset, [0.25 * 0.8, 0, 0, 0], atol=1e-6)
    assert voice.frames == 200


def test_a_profile_belongs_to_its_networks(bundle: Bundle, models: Models, random_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="measured with other networks"):
        models.for_speaker(profile(bundle, networks="others"))
    with pytest.raises(ConfigError, match="measured with other networks"):
        models.for_speaker(profile(bundle, shape=(0.0,)))
    with pytest.raises(ConfigError, match="does not say what a speaker's profile is worth"):
        load_models(random_bundle, "none").for_speaker(profile(bundle))
    adapted = models.for_speaker(profile(bundle))
    assert adapted.for_speaker(None).acoustic.voice is None


def test_live_and_files_agree_with_a_profile_as_without(models: Models, bundle: Bundle, demonstration: np.ndarray) -> None:
    adapted = models.for_speaker(profile(bundle))

    def heard(models: Models, block: int, live: bool) -> list[Output]:
        source = ArraySource(demonstration[:160_000], 16_000, block=block)
        return [one for one in run_pipeline(source, build_stages(models, live=live, words=False)) if isinstance(one, Verdict)]

    one, other, plain = heard(adapted, 160, True), heard(adapted, 16_000, False), heard(models, 16_000, False)
    assert len(one) == len(other) == len(plain) > 0
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first.estimate.scores, second.estimate.scores, atol=1e-5)
    assert any(np.abs(a.estimate.scores - b.estimate.scores).max() > 0.01 for a, b in zip(one, plain, strict=True))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"neutral_logits": [0.0]}, "a value for each class"),
        ({"neutral_logits": [1e9, 0, 0, 0]}, "neutral logits must lie in"),
        ({"frames": 0}, "a frame at least"),
        ({"largest_share": 1.5}, "share in"),
    ],
)
def test_a_bundle_that_uses_profiles_absurdly_is_refused(
    random_bundle: Path, tmp_path: Path, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(BundleError, match=problem):
        load_bundle(with_speaker(random_bundle, tmp_path / "bundle", **changes))


# Files ----------------------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_listed_and_deleted(bundle: Bundle, own_profiles: Path) -> None:
    path = write_profile(profile(bundle))
    assert path.parent == own_profiles
    assert read_profile("P07") == read_profile(path) == profile(bundle)
    assert list_profiles() == [profile(bundle)]
    assert delete_profile("P07") == path
    assert not list_profiles()
    with pytest.raises(ConfigError, match="no profile of P07"):
        delete_profile("P07")
    with pytest.raises(ConfigError, match=r"no profile of P07.*there is: none"):
        read_profile("P07")


@pytest.mark.parametrize("name", ["", "../other", "a/b", ".hidden", "x" * 60, "C:\\x"])
def test_names_that_could_leave_the_folder_are_refused(bundle: Bundle, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name"):
        write_profile(profile(bundle, name=name))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "no speaker profile"),
        ("{}", "no speaker profile"),
        ("[1, 2", "no speaker profile"),
        ('{"format": 1, "name": 3}', "no speaker profile"),
    ],
)
def test_broken_files_are_named_and_do_not_hide_the_others(
    bundle: Bundle, own_profiles: Path, content: str, problem: str
) -> None:
    write_profile(profile(bundle))
    (own_profiles / "Broken.profile.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=problem):
        read_profile("Broken")
    told: list[ConfigError] = []
    assert [one.name for one in list_profiles(on_broken=told.append)] == ["P07"]
    assert len(told) == 1


def test_a_later_format_and_values_that_are_no_numbers_are_refused(bundle: Bundle) -> None:
    path = write_profile(profile(bundle, format=2))
    with pytest.raises(ConfigError, match="format 2, this program reads 1"):
        read_profile(path)
    text = write_profile(profile(bundle)).read_text(encoding="utf-8")
    path.write_text(text.replace("-6.0", "1e999"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"no (numbers|speaker profile)"):
        read_profile(path)


# The program ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def speech_file(demonstration: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    soundfile.write(path, demonstration, 16_000)
    return path


def test_calibrate_listen_record_and_score_again(
    folder: Path,
    speech_file: Path,
    own_profiles: Path,
    random_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = random_bundle  # the same networks, of which nobody says how profiles are used
    used = ["--bundle", str(folder)]
    assert main(["calibrate", "P07", "--input", str(speech_file), *used]) == 0
    said = capsys.readouterr().err
    assert "no sound is kept" in " ".join(said.split())
    assert [path.name for path in own_profiles.iterdir()] == ["P07.profile.json"]
    # Not by mistake over another one.
    assert main(["calibrate", "P07", "--input", str(speech_file), *used]) == ConfigError.exit_code
    assert "give --replace" in capsys.readouterr().err
    assert main(["profiles"]) == 0
    assert "P07" in capsys.readouterr().out

    fast = ["--input", str(speech_file), "--pace", "fast", "--recognizer", "none", "--json", *used]
    assert main(["listen", *fast]) == 0
    plain = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    session = tmp_path / "sessions"
    assert main(["listen", *fast, "--profile", "P07", "--record", str(session), "--keep-audio", "--consent"]) == 0
    adapted = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scores = [[row["scores"] for row in rows if row["type"] == "utterance"] for rows in (plain, adapted)]
    assert len(scores[0]) == len(scores[1]) > 0
    assert scores[0] != scores[1]
    (made,) = session.iterdir()
    with Session(made) as recorded:
        assert recorded.header.profile == read_profile("P07")
        assert "adapted to the speaker by" in methods_paragraph(recorded)
    # Scored again, it is adapted as it was; networks that the profile was not measured with are not.
    for models, alike in ((load_models(folder, "none"), True), (load_models(other, "none"), False)):
        name = rescore(made, models, name=f"again-{alike}")
        with Session(made) as before, Session(made, name) as after:
            assert (after.header.profile is not None) is alike
            difference = compare(before, after).difference
            assert difference is not None
            assert (difference < 1e-3) is alike

    assert main(["profiles", "delete", "P07"]) == 0
    assert main(["listen", *fast, "--profile", "P07"]) == ConfigError.exit_code
    assert "realtime-ser calibrate P07" in capsys.readouterr().err


def test_analyze_with_a_profile_is_what_listen_says(
    folder: Path, speech_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = ["--bundle", str(folder), "--recognizer", "none"]
    assert main(["calibrate", "P07", "--input", str(speech_file), "--bundle", str(folder)]) == 0
    capsys.readouterr()
    table = tmp_path / "table.jsonl"
    assert main(["analyze", str(speech_file), "--profile", "P07", "--out", str(table), *used]) == 0
    capsys.readouterr()
    assert main(["listen", "--input", str(speech_file), "--pace", "fast", "--json", "--profile", "P07", *used]) == 0
    heard = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    live = [row["scores"] for row in heard if row["type"] == "utterance"]
    rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == len(live) > 0
    for row, scores in zip(rows, live, strict=True):
        assert [row[name] for name in scores] == pytest.approx(list(scores.values()), abs=1e-4)


def test_a_bundle_that_cannot_use_profiles_says_so_before_anybody_speaks(
    random_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", "P07", "--bundle", str(random_bundle), "--input", "nowhere.wav"]) == ConfigError.exit_code
    assert "does not say what a speaker's profile is worth" in capsys.readouterr().err
