"""The sincgram's numbers: they are the network's own, and the mel spectrogram is what the formulas say."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
import pytest
from engine_stages import ScriptedSource, blocks
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.assembly import Models, build_stages, load_models
from realtime_ser.audio.sources import ArraySource
from realtime_ser.bundle.inference import create_session
from realtime_ser.controller import BundleView, Controller
from realtime_ser.engine.pipeline import Pipeline
from realtime_ser.gui.controller import PickedFile
from realtime_ser.gui.filterbank import FilterBank
from realtime_ser.gui.sincgram.mel import MelSpectrogram
from realtime_ser.gui.sincgram.model import REMEMBERED_SECONDS, FrameGrid, SincgramModel, SoundMemory
from realtime_ser.gui.sincgram.table import EXPORTS, table
from realtime_ser.types import Block, Span, WindowScores

RATE = 16_000
ROUNDING_DB = 1e-3
"""The folded filter bank may differ from the graph by 1e-4 nepers, which is 4.3e-4 dB; the rest is single precision."""


@pytest.fixture(scope="module")
def models() -> Models:
    """The bundle that ships with the program."""
    return load_models(recognizer="none")


@pytest.fixture(scope="module")
def speech(demonstration: np.ndarray) -> np.ndarray:
    """Three seconds: silence, and the first words."""
    return demonstration[:48_000]


def bank_and_grid(models: Models) -> tuple[FilterBank, FrameGrid]:
    facts = BundleView.of(models)
    cutoffs = (facts.initial_low_hz, facts.initial_high_hz, facts.low_hz, facts.high_hz)
    bank = FilterBank.from_cutoffs(*cutoffs, facts.kernel, facts.sample_rate, points=16)
    return bank, FrameGrid(facts.hop, facts.kernel, facts.stride)


def new_model(models: Models) -> SincgramModel:
    return SincgramModel(*bank_and_grid(models))


def graph_levels(models: Models, samples: np.ndarray) -> np.ndarray:
    """dB of what the bundle's own graph gives for all frames of `samples`, by rank."""
    bank, grid = bank_and_grid(models)
    frames = (len(samples) - grid.receptive) // grid.hop + 1
    used = samples[np.newaxis, : grid.receptive + (frames - 1) * grid.hop]
    (energies,) = create_session(models.bundle.content("bands.onnx")).run({"samples": used}, ["log_energies"])
    return 10.0 * np.log10(np.exp(energies.astype(np.float64)))[:, bank.order]


def mel_levels(samples: np.ndarray, middle: int, bands: int) -> np.ndarray:
    """dB of the mel bands of the 25 ms around `middle`, straight from the formulas: the HTK book's mel, a DFT written out.

    Deliberately not how the program does it: no transform, other units, one band after the other.
    """
    size, bins = 400, 2_048
    piece = samples[middle - size // 2 : middle + size // 2].astype(np.float64)
    window = np.sin(np.pi * np.arange(size) / size) ** 2
    turns = np.outer(np.arange(bins // 2 + 1), np.arange(size)) / bins
    wave = window * piece
    power = (np.cos(2 * np.pi * turns) @ wave) ** 2 + (np.sin(2 * np.pi * turns) @ wave) ** 2
    power[1:-1] *= 2.0
    power /= bins * (window**2).sum()
    at = 1127.0 * np.log(1.0 + np.arange(bins // 2 + 1) * RATE / bins / 700.0)
    step = 1127.0 * np.log(1.0 + RATE / 2 / 700.0) / (bands + 1)
    energies = [
        np.sum(power * np.interp(at, [(b) * step, (b + 1) * step, (b + 2) * step], [0.0, 1.0, 0.0])) for b in range(bands)
    ]
    return 10.0 * np.log10(np.array(energies) + 1e-10)


def feed(models: Models, model: SincgramModel, made: Iterable[Block]) -> None:
    """Through the real stages, as a window would see it: the sound first, then what was made of it."""
    pipeline = Pipeline(build_stages(models, live=False))
    for block in made:
        outputs = pipeline.process(block)
        model.hear([block])
        model.consume(outputs)
    model.consume(pipeline.finish())
    pipeline.close()


def columns_of(ring: object) -> dict[int, np.ndarray]:
    """What a ring holds, by column."""
    view = ring.view()  # type: ignore[attr-defined]
    known = np.flatnonzero(np.isfinite(view[:, 0]))
    return {int(row) + ring.end - ring.bins: view[row] for row in known}  # type: ignore[attr-defined]


def same(one: dict[int, np.ndarray], other: dict[int, np.ndarray], tolerance: float = ROUNDING_DB) -> None:
    assert one.keys() == other.keys()
    for column, row in one.items():
        np.testing.assert_allclose(row, other[column], atol=tolerance, err_msg=f"column {column}")


# The mel spectrogram --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", [40, 88])
def test_mel_levels_are_those_of_the_formulas(bands: int, speech: np.ndarray) -> None:
    mel = MelSpectrogram(bands, RATE, 400)
    middles = np.arange(2_000, 46_000, 4_001)
    frames = np.stack([speech[middle - 200 : middle + 200] for middle in middles])
    expected = np.stack([mel_levels(speech, int(middle), bands) for middle in middles])
    np.testing.assert_allclose(mel.levels(frames), expected, atol=0.01)


def test_a_sine_has_its_mean_square_and_the_band_is_where_it_lies() -> None:
    mel = MelSpectrogram(40, RATE, 400)
    for band in (15, 25, 35):  # as wide as the window's main lobe and wider
        sine = 0.5 * np.sin(2.0 * np.pi * mel.centre[band] * np.arange(400) / RATE).astype(np.float32)
        levels = mel.levels(sine[np.newaxis])[0]
        assert levels.argmax() == band
        assert 10.0 * np.log10(np.sum(10.0 ** (levels / 10.0))) == pytest.approx(10.0 * np.log10(0.125), abs=0.05)
    assert np.all(mel.levels(np.zeros((1, 400), np.float32)) == pytest.approx(-100.0))
    for bands, window in ((0, 400), (40, 401), (40, 4_000)):
        with pytest.raises(ValueError, match="must be"):
            MelSpectrogram(bands, RATE, window)


# The model on the real engine -----------------------------------------------------------------------------------------------


def listen(controller: Controller, model: SincgramModel) -> None:
    """Play what the controller opens to its end, as a window would."""
    controller.hear_sound(True)
    controller.start(PickedFile("speech", "speech"))
    deadline = time.monotonic() + 60.0
    while controller.state().phase != "finished":
        assert time.monotonic() < deadline
        assert controller.state().phase != "failed", controller.state()
        outputs = controller.poll(512)
        model.hear(controller.poll_sound())
        model.consume(outputs)
    outputs = controller.poll(4_096)
    model.hear(controller.poll_sound())
    model.consume(outputs)


@pytest.mark.usefixtures("no_thread_left")
def test_levels_are_those_of_the_bundles_graph_through_the_running_engine(models: Models, speech: np.ndarray) -> None:
    controller = Controller(recognizer="none", open_source=lambda _: ArraySource(speech, RATE))
    model = new_model(models)
    listen(controller, model)
    assert model.missed_seconds == 0.0
    assert model.position == len(speech)
    expected = graph_levels(models, speech)
    grid = model.grid
    skipped = grid.newest_frame(4_000) // grid.hop  # older frames complete no window
    shown = columns_of(model.sinc)
    same(shown, {grid.column(grid.hop * frame): expected[frame] for frame in range(skipped, len(expected))})
    mel = columns_of(model.mel)
    assert mel.keys() >= shown.keys()
    for column in (2, 100, 200, max(mel)):
        # The middle of a band frame lies half a stride before the middle of its column.
        middle = round(float(grid.middle(column))) - grid.stride // 2
        np.testing.assert_allclose(mel[column], mel_levels(speech, middle, 88), atol=0.01)
    assert not model.voiced(10)
    assert model.voiced(max(mel) - 20)
    # Another stream begins: nothing of this one is handed out any more, and no sound while nobody wants any.
    controller.start(PickedFile("speech", "speech"))
    assert all(block.span.first < 1_600 for block in controller.poll_sound()[:1])
    controller.hear_sound(False)
    assert controller.poll_sound() == []
    controller.close()


@pytest.mark.usefixtures("no_thread_left")
def test_an_engine_that_makes_room_has_nothing_more_to_say(speech: np.ndarray) -> None:
    """Started again while it runs: what the first engine heard is another stream."""
    sources = [ScriptedSource(blocks(speech, [480] * 100, first=first), live=True, then="silence") for first in (1_000_000, 0)]
    remaining = iter(sources)
    controller = Controller(recognizer="none", open_source=lambda _: next(remaining))
    controller.hear_sound(True)
    controller.start(PickedFile("first", "first"))
    assert sources[0].delivered.wait(60.0)
    assert controller.poll_sound()[0].span.first == 1_000_000
    controller.start(PickedFile("second", "second"))
    ends: list[int] = []
    deadline = time.monotonic() + 60.0
    while not ends or ends[-1] < 48_000:
        assert time.monotonic() < deadline
        ends += [output.span.end for output in controller.poll(512) if isinstance(output, WindowScores)]
        ends += [block.span.end for block in controller.poll_sound()]
    assert max(ends) <= 48_000
    controller.close()


@settings(max_examples=8)
@given(lengths=st.lists(st.integers(1, 3_000), min_size=1, max_size=30), gap=st.integers(1, 2_000))
def test_pictures_do_not_depend_on_the_cut_and_a_gap_stays_empty(
    models: Models, speech: np.ndarray, lengths: list[int], gap: int
) -> None:
    def heard(cut: list[int]) -> SincgramModel:
        one, other = speech[:20_000], speech[20_000:40_000]
        behind = blocks(other, cut, first=20_000 + gap)
        behind[0] = Block(behind[0].span, behind[0].samples, gap_before=True)
        model = new_model(models)
        feed(models, model, [*blocks(one, cut), *behind])
        return model

    one, other = heard([1_600] * 20), heard(lengths)
    assert list(one.gaps) == list(other.gaps) == [Span(20_000, 20_000 + gap)]
    assert one.missed_seconds == other.missed_seconds == 0.0
    for name in ("sinc", "mel", "voice"):
        same(columns_of(getattr(one, name)), columns_of(getattr(other, name)))
    grid = one.grid
    expected = graph_levels(models, speech[20_000:40_000])
    first = grid.newest_frame(4_000) // grid.hop
    shown = columns_of(one.sinc)
    for frame in range(first, len(expected)):
        column = grid.column(20_000 + gap + grid.hop * frame)
        np.testing.assert_allclose(shown[column], expected[frame], atol=ROUNDING_DB)
        # Behind a gap frames stand on another grid; the column is the nearest one.
        assert abs(float(grid.middle(column)) - (20_000 + gap + grid.hop * frame + 480)) <= grid.hop / 2
    # No frame looks across the gap: the last one before it ends with it, the first one behind it ends a window.
    last, begin = 20_000 - 957 + 480, 20_000 + gap + 3_040 + 480 - grid.hop / 2
    assert not any(last < grid.middle(column) < begin for column in shown)


def test_opened_in_the_middle_it_finds_the_grid(models: Models, speech: np.ndarray) -> None:
    """Behind a gap that it has not seen, frames begin anywhere."""
    offset = 20_037
    behind = blocks(speech, [480] * 200, first=offset)
    behind[0] = Block(behind[0].span, behind[0].samples, gap_before=True)
    pipeline = Pipeline(build_stages(models, live=False))
    pipeline.process(Block(Span(0, 480), speech[:480]))
    model = new_model(models)
    for number, block in enumerate(behind):
        outputs = pipeline.process(block)
        if number >= 30:
            model.hear([block])
            model.consume(outputs)
    shown, mel = columns_of(model.sinc), columns_of(model.mel)
    first = behind[30].span.first
    assert min(mel) <= model.grid.column_at(first) + 3
    for column in (min(mel), max(shown)):
        frame = next(f for f in range(offset, offset + len(speech), 160) if model.grid.column(f) == column)
        np.testing.assert_allclose(mel[column], mel_levels(speech, frame + 478 - offset, 88), atol=0.01)
    assert not model.gaps
    assert model.missed_seconds == 0.0


def test_no_product_is_so_large_that_threads_would_share_it(models: Models, speech: np.ndarray) -> None:
    model = new_model(models)
    counts: list[int] = []
    levels = model.bands.levels
    model.bands.levels = lambda frames: (counts.append(len(frames)), levels(frames))[1]  # type: ignore[method-assign]
    model.hear([Block(Span(0, RATE), speech[:RATE])])
    assert sum(counts) > 90
    assert max(counts) <= 3


def test_what_the_view_misses_is_counted_and_is_no_gap(models: Models, speech: np.ndarray) -> None:
    pipeline = Pipeline(build_stages(models, live=False))
    model = new_model(models)
    for number, block in enumerate(blocks(speech, [1_600] * 30)):
        outputs = pipeline.process(block)
        if not 10 <= number < 13:
            model.hear([block])
        if not 20 <= number < 25:
            model.consume(outputs)
    assert model.missed_samples == 3 * 1_600
    assert model.missed_frames == 5 * 10
    assert model.missed_seconds == pytest.approx(0.5)
    assert not model.gaps
    mel = columns_of(model.mel)
    assert not any(16_000 - 198 < model.grid.middle(column) < 20_800 + 202 for column in mel)
    column = model.grid.column_at(30_000)
    middle = round(float(model.grid.middle(column))) - model.grid.stride // 2
    np.testing.assert_allclose(mel[column], mel_levels(speech, middle, 88), atol=0.01)


def test_it_stands_still_while_the_other_goes_on(models: Models, speech: np.ndarray) -> None:
    model = new_model(models)
    made = blocks(speech, [1_600] * 30)
    feed(models, model, made[:15])
    still = model.still()
    before = {name: columns_of(getattr(still, name)) for name in ("sinc", "mel", "voice")}
    heard = still.sound.part(still.sound.span)
    model.hear(made[15:])
    for name, columns in before.items():
        same(columns, columns_of(getattr(still, name)), 0.0)
    assert still.position == 24_000
    assert np.array_equal(still.sound.part(still.sound.span), heard)
    assert model.position == 48_000
    model.restart()
    assert not columns_of(model.mel)
    assert len(model.sound.span) == 0
    assert np.array_equal(still.sound.part(still.sound.span), heard)


def test_what_is_played_is_not_remembered(models: Models, speech: np.ndarray) -> None:
    model = new_model(models)
    made = blocks(speech, [1_600] * 30)
    model.hear(made[:10])
    model.hear(made[10:12], echo=True)
    model.hear(made[12:])
    # And half a second behind: the output's and the input's latency.
    assert list(model.played) == [Span(16_000, 27_200)]
    assert np.array_equal(model.sound.part(Span(0, 16_000)), speech[:16_000])
    assert not model.sound.part(Span(16_000, 27_200)).any()
    assert np.array_equal(model.sound.part(Span(27_200, 48_000)), speech[27_200:])
    assert len(columns_of(model.mel)) > 290, "it is drawn like any other"


# The sound ------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 70)), min_size=1, max_size=20), st.integers(0, 10**9))
def test_the_newest_sound_is_remembered_with_silence_in_gaps(pieces: list[tuple[int, int]], start: int) -> None:
    memory = SoundMemory(100)
    assert len(memory.span) == 0
    truth: dict[int, float] = {}
    position = start
    for gap, length in pieces:
        position += gap
        memory.add(position, (np.arange(position, position + length) % 97 + 1).astype(np.float32))
        truth.update({at: float(at % 97 + 1) for at in range(position, position + length)})
        position += length
    first = start + pieces[0][0]
    assert memory.span == Span(max(first, position - 100), position)
    expected = [truth.get(at, 0.0) for at in range(memory.span.first, position)]
    assert memory.part(Span(0, position + 50)).tolist() == expected
    memory.forget()
    assert len(memory.part(Span(0, position))) == 0


def test_ten_seconds_are_remembered_at_most(models: Models) -> None:
    model = new_model(models)
    sound = np.random.default_rng(3).uniform(-1, 1, 12 * RATE).astype(np.float32)
    model.hear(blocks(sound, [1_600] * 200))
    assert model.sound.span == Span(2 * RATE, 12 * RATE)
    assert model.sound.span.end - model.sound.span.first == REMEMBERED_SECONDS * RATE
    assert np.array_equal(model.sound.part(model.sound.span), sound[2 * RATE :])


# The table ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPORTS)
def test_the_table_has_every_frame_of_the_span(models: Models, speech: np.ndarray, name: str) -> None:
    model = new_model(models)
    feed(models, model, blocks(speech, [1_600] * 30))
    numbers = table(model, name, 10, 320)
    assert all(len(column) == 310 for column in numbers.values())
    bank = model.bank
    pictures = {"sincgram": 1, "mel spectrogram": 1, "both pictures": 2}[name]
    assert len(numbers) == 2 + 88 * pictures
    np.testing.assert_allclose(numbers["time_s"], (np.arange(10, 320) * 160 + 160) / RATE, atol=1e-4)
    if pictures == 2 or name == "sincgram":
        column = numbers[f"filter_{bank.order[40]}_{bank.centre[40]:.1f}_hz_db"]
        shown = columns_of(model.sinc)
        assert np.isnan(column[0]), "no window ends so early"
        assert np.isnan(column[-1]), "nor has the future been heard"
        assert column[190] == pytest.approx(float(shown[200][40]), abs=6e-4)
    assert set(numbers["voiced"]) == {0, 1}
    with pytest.raises(ValueError, match="a picture is one of"):
        table(model, "response", 0, 1)
