"""What a bundle says of its filters: how they moved in a real (tiny) training, and which classes rely on them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="install the 'training' extra")
pytest.importorskip("onnxscript")
pytest.importorskip("pyroomacoustics")

from bundle_factory import write_bundle  # noqa: E402

from realtime_ser.acoustic.networks import AcousticNetworks  # noqa: E402
from realtime_ser.bundle.filter_files import HISTORY_NAME, RELIANCE_NAME, CutoffHistory, Reliance  # noqa: E402
from realtime_ser.bundle.loader import asset_path, load_bundle  # noqa: E402
from realtime_ser.bundle.manifest import digest  # noqa: E402
from realtime_ser.errors import BundleError, ConfigError  # noqa: E402
from training import reliance as module  # noqa: E402
from training.acoustic import AcousticData, AcousticSettings, AcousticTraining  # noqa: E402
from training.acoustic_network import AcousticShape  # noqa: E402
from training.bundle import assemble, check_bundle, with_file  # noqa: E402
from training.conditions import hear, voice_of  # noqa: E402
from training.corpora import FOUR_CLASSES, Clip  # noqa: E402
from training.export_acoustic import ExportedAcoustic, export  # noqa: E402
from training.features import read_audio  # noqa: E402
from training.reliance import measure, neighbours, occluded, shape_of  # noqa: E402

SMALL = AcousticShape(bands=6, layout="mel", kernel=251, width=8, feature=2_048)
QUICK = AcousticSettings(
    SMALL, background=False, frozen_steps=1, joint_steps=4, batch=4, joint_batch=4, windows=2, crop_frames=(60,),
    joint_crop_frames=(60,), validate_every=2, cutoff_rate=0.05,
)  # fmt: skip
RATE = 16_000


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AcousticTraining:
    """Noise of four speakers, in which the detector is made to hear voices."""
    monkeypatch.setattr(
        "training.features.voice_probabilities", lambda samples, detector: np.full(len(samples) // 512, 0.9, np.float32)
    )
    generator = np.random.default_rng(1)
    clips = []
    for speaker in range(4):
        for emotion in FOUR_CLASSES:
            file = tmp_path / f"{speaker}-{emotion}.wav"
            soundfile.write(file, generator.uniform(-0.3, 0.3, 20_000), RATE)
            clips.append(Clip(file.name, "EMODB", "de", f"EMODB_{speaker}", emotion, emotion, 1.25, "", file=file))
    labels = {clip.path: FOUR_CLASSES.index(clip.emotion4) for clip in clips}
    data = AcousticData(tuple(clips[:12]), tuple(clips[12:]), labels)
    return AcousticTraining(QUICK, data, tmp_path, tmp_path / "out", tmp_path / "cache")


def parts_for(acoustic: Path, folder: Path) -> tuple[Path, Path]:
    """A text and a fusion network of random weights that belong to an exported acoustic one."""
    made = write_bundle(folder / "made")
    text, fusion = folder / "text", folder / "fusion"
    for part, names in ((text, ("text.onnx", "vocabulary.txt")), (fusion, ("fusion.onnx",))):
        part.mkdir()
        for name in names:
            shutil.copy(made / name, part / name)
    common: dict[str, Any] = {"classes": FOUR_CLASSES, "figures": []}
    (text / "report.json").write_text(json.dumps(common | {"calibration": {"text": 1.0}, "sources": []}))
    inputs = {"acoustic": digest((acoustic / "head.onnx").read_bytes()), "text": digest((text / "text.onnx").read_bytes())}
    facts = {
        "calibration": {"fused": 1.0},
        "abstention": {"fused": 0.5, "risk": 0.25, "meaning": "none"},
        "settings": {"corpora": ["EMODB"]},
        "inputs": inputs,
    }
    (fusion / "fusion.json").write_text(json.dumps(common | facts))
    return text, fusion


def test_a_trainings_filters_can_be_followed_from_the_first_state_to_the_bundle(
    training: AcousticTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.train()
    history = training.history
    assert history is not None
    # Six validations are wanted of a phase, here of four batches: every batch.
    assert history.steps == (0, 1, 2, 3, 4)
    assert history.scores[0] is None
    assert all(score is not None and score < 0 for score in history.scores[1:])
    bands = training.network.bands
    np.testing.assert_allclose(history.low_hz[0], bands.initial_low_hz, atol=0.01)
    np.testing.assert_allclose(history.high_hz[0], bands.initial_high_hz, atol=0.01)
    moved = np.abs(np.diff(np.array(history.low_hz), axis=0)).max(axis=1)
    assert (moved > 0.1).all()  # every batch moved some filter: Adam's step is 0.05 of a filter's width, less the average
    kept = history.steps.index(history.kept_step)
    np.testing.assert_allclose(history.low_hz[kept], bands.cutoffs_hz()[0], atol=0.01)

    export(training, tmp_path / "export", (), 0.25, with_figures=False)
    bundle = assemble(tmp_path / "export", *parts_for(tmp_path / "export", tmp_path), tmp_path / "bundle", "tiny", "1")
    assert bundle.history == history
    assert bundle.reliance is None

    # One that was trained on from an old checkpoint knows only a part, and then says nothing.
    checkpoint = tmp_path / "out" / "joint.pt"
    state = torch.load(checkpoint)
    del state["records"]
    torch.save(state, checkpoint)
    again = AcousticTraining(QUICK, training.data, tmp_path, tmp_path / "out", tmp_path / "cache")
    again.train()
    assert again.history is None
    # The graphs are those of before, and to export them is what takes long.
    graphs = shutil.copytree(tmp_path / "export", tmp_path / "graphs", ignore=shutil.ignore_patterns("*.json"))
    monkeypatch.setattr("training.export_acoustic.write_graphs", lambda network, folder: shutil.copytree(graphs, folder))
    export(again, tmp_path / "export", (), 0.25, with_figures=False)
    assert not (tmp_path / "export" / HISTORY_NAME).exists()


def test_filters_that_are_not_learnt_have_no_history(training: AcousticTraining, tmp_path: Path) -> None:
    frozen = AcousticTraining(
        replace(QUICK, learn_cutoffs=False), training.data, tmp_path, tmp_path / "frozen", tmp_path / "cache"
    )
    frozen.train()
    assert frozen.history is None


# Which filters the classes rely on ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """The demonstration's first seconds."""
    return read_audio(asset_path("demonstration.flac"))[: 4 * RATE]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Two seconds of the demonstration for each class and speaker. What they are called is made up."""
    folder = tmp_path_factory.mktemp("clips")
    samples = read_audio(asset_path("demonstration.flac"))
    made = []
    for number in range(8):
        emotion, file = FOUR_CLASSES[number % 4], folder / f"{number}.wav"
        soundfile.write(file, samples[2 * number * RATE : 2 * (number + 2) * RATE], RATE)
        made.append(Clip(file.name, "EMODB", "de", f"EMODB_{number // 4}", emotion, emotion, 4.0, "", file=file))
    return made


def test_groups_are_neighbours_in_frequency_and_leave_no_filter_out() -> None:
    manifest = load_bundle("default-bundle").manifest
    filters = manifest.acoustic.filters
    centre = np.add(filters.low_hz, filters.high_hz) / 2
    for size, step in ((4, 1), (5, 3), (88, 1), (1, 1)):
        groups = neighbours(manifest, size, step)
        assert {band for group in groups for band in group} == set(range(88))
        assert {len(group) for group in groups} == {size}
        for group in groups:
            inside = (centre >= min(centre[list(group)])) & (centre <= max(centre[list(group)]))
            assert inside.sum() == size


def test_silencing_is_what_the_runtime_would_hear_with_these_bands_at_their_mean(speech: np.ndarray) -> None:
    """The same through the program's own pipeline, whose trunk is made deaf to some bands."""
    bundle = load_bundle("default-bundle")
    manifest = bundle.manifest
    groups = ((), tuple(range(20)), (3, 40, 87))
    exported = ExportedAcoustic(bundle.path, shape_of(manifest), np.array(manifest.acoustic.normalisation.prior_shape))
    found = occluded(exported, speech, 2, groups, manifest.calibration.acoustic)
    assert found is not None

    class Deaf(AcousticNetworks):
        deaf_to: tuple[int, ...] = ()

        def frames(self, normalised: np.ndarray) -> np.ndarray:
            heard = normalised.copy()
            heard[:, list(self.deaf_to)] = 0.0
            return super().frames(heard)

    scores = []
    for group in groups:
        models = voice_of("default-bundle")
        networks = models.acoustic._networks
        deaf = Deaf(networks.bands, networks.trunk, networks.head, networks.folded)
        Deaf.deaf_to = group
        models = dataclasses.replace(models, acoustic=dataclasses.replace(models.acoustic, _networks=deaf))
        (heard,) = hear(models, speech, "whole")
        scores.append(heard.scores)
    assert found.predicted == int(np.argmax(scores[0]))
    assert found.fall[0] == 0.0
    expected = np.log(scores[0][2]) - np.log([one[2] for one in scores])
    assert np.abs(expected[1:]).min() > 0.05  # else there was nothing to be compared
    # Float32 networks run on cuts of other lengths.
    np.testing.assert_allclose(found.fall, expected, atol=2e-3)


def test_a_clip_without_voice_says_nothing() -> None:
    bundle = load_bundle("default-bundle")
    exported = ExportedAcoustic(
        bundle.path, shape_of(bundle.manifest), np.array(bundle.manifest.acoustic.normalisation.prior_shape)
    )
    assert occluded(exported, np.zeros(RATE, np.float32), 0, ((1,),), 1.0) is None


def test_the_command_writes_what_it_measured_into_the_bundle(
    clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(asset_path("default-bundle"), tmp_path / "bundle"))
    (folder / RELIANCE_NAME).unlink(missing_ok=True)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"].pop(RELIANCE_NAME, None)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    before = load_bundle(folder)
    assert before.reliance is None
    monkeypatch.setattr(module, "speech_sets", lambda *arguments: {"validation speakers": clips})
    monkeypatch.setattr(module, "data_directory", lambda given: tmp_path)
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    arguments = ["--bundle", str(folder), "--group", "40", "--step", "24"]
    assert module.run(argparse.Namespace(data=None, **vars(parser.parse_args(arguments)))) == 0
    after = load_bundle(folder)
    assert after.fingerprint != before.fingerprint
    assert {name: kept for name, kept in after.manifest.files.items() if name != RELIANCE_NAME} == before.manifest.files
    assert msgspec.structs.replace(after.manifest, files={}) == msgspec.structs.replace(before.manifest, files={})
    reliance = after.reliance
    assert reliance is not None
    assert [len(group) for group in reliance.groups] == [40, 40, 40]
    assert reliance.speakers == ("EMODB_0", "EMODB_1")
    assert {name: len(paths) for name, paths in reliance.clips.items()} == dict.fromkeys(FOUR_CLASSES, 2)
    for fall, interval in zip(reliance.fall, reliance.interval, strict=True):
        # Two speakers with a clip each: a mean lies between them, and the bootstrap knows nothing else.
        assert all(low <= value <= high for value, (low, high) in zip(fall, interval, strict=True))
    assert [data.name for data in reliance.data] == ["EMO-DB (Burkhardt et al. 2005), German, acted"]
    printed = capsys.readouterr().out
    assert f"8 clips, 2 speakers, UA {reliance.recall:.3f}" in printed
    assert printed.count("nats") == 12


def test_corpora_of_unknown_licence_and_classes_without_clips_are_refused(clips: list[Clip]) -> None:
    bundle = load_bundle("default-bundle")
    with pytest.raises(ConfigError, match="licence of own"):
        measure(bundle, [dataclasses.replace(clips[0], corpus="own")], 88, 1)
    with pytest.raises(ConfigError, match="no clip with voice of happiness, neutral, sadness"):
        measure(bundle, clips[:1], 88, 1)


# What the loader makes of such files ----------------------------------------------------------------------------------------


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of random networks with both files."""
    folder = write_bundle(tmp_path / "bundle")
    manifest = load_bundle(folder).manifest
    filters = manifest.acoustic.filters
    reliance = Reliance(
        classes=manifest.classes,
        networks={name: manifest.files[name] for name in ("bands.onnx", "trunk.onnx", "head.onnx")},
        groups=((0, 1), (18, 19)),
        fall=((0.5, -0.25),) * 4,
        interval=(((0.25, 0.75), (-0.5, 0.0)),) * 4,
        clips=dict.fromkeys(manifest.classes, ("a.wav",)),
        speakers=("A",),
        recall=0.5,
        method="made up",
        meaning="nothing",
        data=(),
        date="2026-01-01",
        hardware="none",
    )
    history = CutoffHistory((0, 5), (None, -1.0), (filters.low_hz,) * 2, (filters.high_hz,) * 2, 5)
    for name, content in ((RELIANCE_NAME, reliance), (HISTORY_NAME, history)):
        with_file(folder, name, msgspec.json.encode(content))
    assert load_bundle(folder).reliance == reliance
    assert load_bundle(folder).history == history
    return folder


@pytest.mark.parametrize(
    ("name", "changes", "problem"),
    [
        (RELIANCE_NAME, {"classes": ["a", "b"]}, "its classes are a, b"),
        (RELIANCE_NAME, {"networks": {}}, "measured on other networks"),
        (RELIANCE_NAME, {"groups": [[0], [20]]}, "some of the 20 bands"),
        (RELIANCE_NAME, {"groups": []}, "some of the 20 bands"),
        (RELIANCE_NAME, {"fall": [[0.5]] * 4}, "need 2 values each"),
        (RELIANCE_NAME, {"interval": [[[1.0, 0.0]] * 2] * 4}, "ends before it begins"),
        (RELIANCE_NAME, {"date": 5}, "date"),
        (HISTORY_NAME, {"steps": [5, 5]}, "do not ascend"),
        (HISTORY_NAME, {"steps": [0, 5, 6]}, "as many scores"),
        (HISTORY_NAME, {"low_hz": [[1.0], [2.0]]}, "needs 20 cutoffs"),
        (HISTORY_NAME, {"kept_step": 3}, "no state of step 3"),
        (HISTORY_NAME, {"low_hz": [[1.0] * 20] * 2}, "not the bundle's"),
    ],
)
def test_what_does_not_fit_is_refused_in_words_and_the_bundle_stays(
    bundle: Path, name: str, changes: dict[str, Any], problem: str
) -> None:
    fingerprint = load_bundle(bundle).fingerprint
    content = json.loads((bundle / name).read_text(encoding="utf-8")) | changes
    with pytest.raises(BundleError, match=problem):
        with_file(bundle, name, json.dumps(content).encode())
    assert load_bundle(bundle).fingerprint == fingerprint


@pytest.mark.parametrize("name", [RELIANCE_NAME, HISTORY_NAME])
def test_an_altered_file_is_noticed(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes((bundle / name).read_bytes() + b" ")
    with pytest.raises(BundleError, match="not the one that its manifest describes"):
        check_bundle(bundle)


def test_the_shipped_bundle_says_on_what_its_classes_rely() -> None:
    bundle = load_bundle("default-bundle")
    assert bundle.history is None
    assert bundle.reliance is not None
    assert bundle.reliance.data
    from training.splits import BUNDLE_TEST, BUNDLE_VALIDATION

    assert set(bundle.reliance.speakers) <= BUNDLE_VALIDATION
    assert not set(bundle.reliance.speakers) & BUNDLE_TEST
