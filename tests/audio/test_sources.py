"""Arrays and files as sources: formats, errors, damage, pace."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_ser.audio.file import FileSource
from realtime_ser.audio.resample import StreamResampler
from realtime_ser.audio.sources import ArraySource, RecordedSource, Source
from realtime_ser.errors import AudioFileError
from realtime_ser.types import Block


def read_all(source: RecordedSource) -> list[Block]:
    blocks = []
    while not source.exhausted:
        block = source.read(0.2)
        if block is not None:
            blocks.append(block)
    return blocks


def signal_of(source: RecordedSource) -> np.ndarray:
    source.open()
    try:
        blocks = read_all(source)
    finally:
        source.close()
    assert all(a.span.end == b.span.first for a, b in pairwise(blocks))
    assert all(block.captured_at is None and not block.gap_before for block in blocks)
    return np.concatenate([block.samples for block in blocks])


def noise(count: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(count).uniform(-0.5, 0.5, (count, channels)).astype(np.float32)


# --- arrays ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "half"),
    [
        ("float16", 0.5),
        ("float32", 0.5),
        ("float64", 0.5),
        ("int8", 64),
        ("int16", 16_384),
        ("int32", 2**30),
        ("uint8", 192),
        ("uint16", 49_152),
    ],
)
def test_arrays_of_any_type_have_the_same_scale(dtype: str, half: float) -> None:
    silence = 0.0 if half != 192 and half != 49_152 else half - half / 3
    samples = np.array([half, silence, half], dtype=dtype)
    assert signal_of(ArraySource(samples, 16_000)).tolist() == [0.5, 0.0, 0.5]


def test_arrays_of_two_channels_are_averaged_or_one_is_taken() -> None:
    samples = noise(5_000, 2)
    assert np.array_equal(signal_of(ArraySource(samples, 16_000, channel=1)), samples[:, 1])
    assert np.array_equal(signal_of(ArraySource(samples, 16_000)), (samples[:, 0] + samples[:, 1]) / 2)


@settings(max_examples=30)
@given(st.sampled_from([16_000, 44_100, 8_000]), st.integers(100, 6_000), st.integers(40, 3_000))
def test_the_block_size_makes_no_difference(rate: int, count: int, block: int) -> None:
    samples = noise(count)
    one_piece = StreamResampler(rate)
    expected = np.concatenate([one_piece.process(samples[:, 0]), one_piece.flush()])
    assert np.array_equal(signal_of(ArraySource(samples, rate, block=block)), expected)


def test_blocks_lie_on_the_grid_where_no_resampling_is_needed() -> None:
    source = ArraySource(noise(4_000), 16_000, block=1_600)
    source.open()
    assert [(block.span.first, block.span.end) for block in read_all(source)] == [(0, 1600), (1600, 3200), (3200, 4000)]


@pytest.mark.parametrize("samples", [np.zeros(4, np.int64), np.zeros(4, complex), np.zeros(4, bool), np.array(["a"])])
def test_arrays_without_a_full_scale_are_refused(samples: np.ndarray) -> None:
    with pytest.raises(TypeError, match="floats with full scale 1, or integers of 8, 16 or 32 bits"):
        ArraySource(samples, 16_000)


@pytest.mark.parametrize(
    ("samples", "rate", "options", "message"),
    [
        (np.zeros((2, 2, 2)), 16_000, {}, "must have shape"),
        (np.zeros(0), 16_000, {}, "not be empty"),
        (np.zeros(4), 0, {}, "from_rate must be"),
        (np.zeros(4), 16_000.5, {}, "whole number of Hz"),
        (np.zeros(4), 16_000, {"channel": 1}, "channel must be from 0 to 0"),
        (np.zeros(4), 16_000, {"block": 0}, "block must be at least 1"),
        (np.zeros(4), 16_000, {"pace": "slow"}, "pace must be"),
    ],
)
def test_wrong_arguments_are_refused_where_they_are_passed(
    samples: np.ndarray, rate: int, options: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ArraySource(samples, rate, **options)  # type: ignore[arg-type]


def test_values_beyond_any_format_become_silence() -> None:
    samples = np.array([0.5, np.nan, 1e300, -0.5])
    source = ArraySource(samples, 16_000)
    assert signal_of(source).tolist() == [0.5, 0.0, 0.0, -0.5]
    assert [event.kind for event in source.drain_events()] == ["invalid-samples"]
    assert source.status().invalid_samples == 2


def test_a_source_is_used_once() -> None:
    source = ArraySource(noise(10), 16_000)
    with pytest.raises(RuntimeError, match="must be opened"):
        source.read(0.0)
    assert source.status().native_rate == 0
    source.open()
    with pytest.raises(RuntimeError, match="opened before"):
        source.open()
    source.close()
    source.close()
    assert source.exhausted
    assert source.read(0.2) is None


def test_both_keep_the_contract() -> None:
    sources: list[Source] = [ArraySource(noise(10), 16_000), FileSource("x.wav")]
    assert not any(source.live for source in sources)


# --- files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize(("ending", "subtype"), [("wav", "FLOAT"), ("wav", "PCM_24"), ("flac", "PCM_16"), ("aiff", "PCM_16")])
def test_lossless_files_are_read_as_they_are(tmp_path: Path, ending: str, subtype: str, rate: int) -> None:
    path = tmp_path / f"noise.{ending}"
    soundfile.write(path, noise(9_000, 2), rate, subtype=subtype)
    stored, _ = soundfile.read(path, dtype="float32")
    assert np.array_equal(signal_of(FileSource(path)), signal_of(ArraySource(stored, rate)))


@pytest.mark.parametrize("ending", ["mp3", "ogg", "opus"])
def test_lossy_files_are_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"noise.{ending}"
    soundfile.write(
        path, noise(48_000), 48_000, format="MP3" if ending == "mp3" else "OGG", subtype="OPUS" if ending == "opus" else None
    )
    source = FileSource(str(path), channel=0)
    assert abs(len(signal_of(source)) - 16_000) <= 1
    assert source.drain_events() == []
    assert source.name == path.name
    assert "48000 Hz, 1 channel" in source.status().device


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 48_000, 2) as file:
        for _ in range(120):
            file.write(np.zeros((48_000, 2), np.int16))
    source = FileSource(path)
    source.open()
    tracemalloc.start()
    try:
        samples = 0
        while not source.exhausted:
            block = source.read(0.2)
            samples += 0 if block is None else len(block.span)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        source.close()
    assert samples == 120 * 16_000
    # The decoded file has 46 MB; a block, as doubles and in a few copies, less than a hundredth of that.
    assert peak < 400_000


def test_files_that_cannot_be_read_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("This is not sound. " * 100)
    (tmp_path / "headless.raw").write_bytes(bytes(1000))
    soundfile.write(tmp_path / "no-frames.wav", np.zeros((0, 1)), 16_000)
    soundfile.write(tmp_path / "mono.wav", np.zeros(100), 16_000)
    slow = (tmp_path / "mono.wav").read_bytes()
    (tmp_path / "one-hertz.wav").write_bytes(slow[:24] + (1).to_bytes(4, "little") + slow[28:])
    (tmp_path / "cut.wav").write_bytes(slow[:30])
    for name, message in {
        "missing.wav": "There is no file",
        ".": "is a folder",
        "empty.wav": "is empty",
        "text.wav": "is not a sound file that can be read",
        "headless.raw": "is not a sound file that can be read",
        "no-frames.wav": "holds no sound",
        "one-hertz.wav": "sampling rate of 1 Hz",
        "cut.wav": "is not a sound file that can be read",
    }.items():
        with pytest.raises(AudioFileError, match=message) as raised:
            FileSource(tmp_path / name).open()
        assert raised.value.remedy
    with pytest.raises(AudioFileError, match=r"has no channel 2\. It has 1, counted from 1"):
        FileSource(tmp_path / "mono.wav", channel=1).open()


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3"])
def test_a_file_that_breaks_off_is_used_as_far_as_it_goes(tmp_path: Path, ending: str) -> None:
    whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    soundfile.write(whole, noise(48_000), 16_000)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source = FileSource(cut)
    expected = signal_of(FileSource(whole))
    signal = signal_of(source)
    assert 16_000 < len(signal) < 32_000
    assert np.array_equal(signal[:16_000], expected[:16_000])
    (event,) = source.drain_events()
    assert event.kind == "file-truncated"
    assert event.sample == len(signal)
    assert "damaged or incomplete" in event.message


def test_a_header_written_into_a_pipe_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "piped.wav"
    soundfile.write(path, noise(4_000), 16_000, subtype="PCM_16")
    content = path.read_bytes()
    place = content.index(b"data") + 4
    path.write_bytes(content[:place] + b"\xff\xff\xff\xff" + content[place + 4 :])
    source = FileSource(path)
    assert len(signal_of(source)) == 4_000
    assert source.drain_events() == []


# --- pace -----------------------------------------------------------------------------------------------------------------


def test_in_real_time_no_block_comes_before_it_was_spoken() -> None:
    source = ArraySource(noise(6_400), 16_000, pace="realtime", block=1_600)
    source.open()
    begun = time.perf_counter()
    assert source.read(0.0) is None  # not due yet; starts the clock
    while not source.exhausted:
        block = source.read(0.2)
        if block is not None:
            assert time.perf_counter() - begun >= block.span.end / 16_000
    assert time.perf_counter() - begun < 5


def test_closing_interrupts_a_wait_for_real_time() -> None:
    source = ArraySource(noise(160_000), 16_000, pace="realtime", block=160_000)
    source.open()
    waiting = threading.Event()
    finished = threading.Event()

    def read() -> None:
        waiting.set()
        while not source.exhausted:
            source.read(0.2)
        finished.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert waiting.wait(5)
    source.close()
    assert finished.wait(2)
    reader.join(2)
    assert not reader.is_alive()


def test_a_file_may_be_closed_while_another_thread_reads(tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise(1_600_000), 16_000)
    source = FileSource(path, block=160)
    source.open()
    begun = threading.Event()

    def read() -> None:
        while not source.exhausted:
            source.read(0.2)
            begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(5)
    source.close()
    reader.join(5)
    assert not reader.is_alive()
    assert source.drain_events() == []
