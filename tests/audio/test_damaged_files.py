"""Sound files that are damaged in every way: they are read as far as they go or refused in words; nothing crashes or hangs."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime_ser.audio.file import FileSource
from realtime_ser.errors import AudioFileError
from realtime_ser.inputs import read_all

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "ulaw.au": ("AU", "ULAW"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_24"),
    "caf": ("CAF", "ALAC_16"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "DOUBLE"),
}


def encoded(name: str) -> bytes:
    """A quarter of a second of noise."""
    kind, subtype = FORMATS[name]
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2_000, 2))
    buffer = io.BytesIO()
    soundfile.write(buffer, noise, 8_000, subtype, format=kind)
    return buffer.getvalue()


ORIGINALS = {name: encoded(name) for name in FORMATS}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A name, and what was left of a file: bytes changed, cut out, put in, cut off; mostly in the header."""
    name = draw(st.sampled_from(sorted(FORMATS)))
    content = bytearray(ORIGINALS[name])
    for _ in range(draw(st.integers(1, 4))):
        where = draw(st.one_of(st.integers(0, 120), st.integers(0, len(content))))
        match draw(st.sampled_from(["change", "change", "remove", "insert", "cut off"])):
            case "change":
                content[where : where + 4] = draw(st.one_of(st.binary(min_size=1, max_size=4), st.just(b"\xff\xff\xff\xff")))
            case "remove":
                del content[where : where + draw(st.integers(1, 200))]
            case "insert":
                content[where:where] = draw(st.binary(min_size=1, max_size=40))
            case _:
                del content[where:]
    # What a file is called need not be what it is.
    return draw(st.sampled_from([name, *FORMATS])), bytes(content)


def read_to_the_end(path: Path) -> int:
    """Samples delivered; whoever reads must get numbers, and an end."""
    source = FileSource(path)
    source.open()
    try:
        samples = 0
        while not source.exhausted:
            block = source.read(0.0)
            if block is not None:
                assert np.isfinite(block.samples).all()
                samples += len(block.span)
            # 30 kB at one byte a frame and 1 kHz make 480,000 samples.
            assert samples < 1_000_000
            for event in source.drain_events():
                assert event.kind in {"file-truncated", "invalid-samples"}
        return samples
    finally:
        source.close()


@settings(max_examples=400, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=damaged())
def test_a_damaged_file_is_read_as_far_as_it_goes_or_refused_in_words(tmp_path: Path, file: tuple[str, bytes]) -> None:
    name, content = file
    path = tmp_path / f"damaged.{name}"
    path.write_bytes(content)
    refusal = None
    try:
        read_to_the_end(path)
    except AudioFileError as error:
        refusal = error
    assert refusal is None or (str(path) in refusal.problem and refusal.remedy)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_undamaged_files_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"whole.{name}"
    path.write_bytes(ORIGINALS[name])
    assert 4_000 <= read_to_the_end(path) <= 5_200  # lossy formats pad
    # And under any other name that says nothing else.
    for other in ("whole", "whole.txt", "whole.mp3", "whole.wav"):
        renamed = path.rename(tmp_path / other)
        assert read_to_the_end(renamed) >= 4_000
        renamed.rename(path)


@settings(max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)), name=st.sampled_from(sorted(FORMATS)))
def test_what_is_no_sound_at_all_is_refused_in_words(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / f"noise.{name}"
    path.write_bytes(content)
    with pytest.raises(AudioFileError):
        read_to_the_end(path)


def test_more_than_two_hours_and_four_gigabytes_are_read_piece_by_piece(tmp_path: Path) -> None:
    """Nothing is wrong with such a file, but 32 bits hold neither its length nor its number of bytes."""
    path, rate = tmp_path / "long.wav", 192_000
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (rate, 2))
    with soundfile.SoundFile(path, "w", rate, 2, "PCM_16", format="RF64") as file:
        file.write(noise)
        file.seek(1_500_000_000)  # what was not written takes no room
        file.write(noise)
    assert path.stat().st_size > 6e9
    if path.stat().st_blocks * 512 > 1e9:
        pytest.skip("this file system keeps what was not written, too")
    source = FileSource(path)
    source.open()
    first = source.read(0.2)
    assert first is not None
    assert 0.1 < np.abs(first.samples).max() < 0.6
    tracemalloc.start()
    heard = sum(len(block.span) for block in (source.read(0.2) for _ in range(200)) if block is not None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    source.close()
    assert heard >= 200 * 1_000
    assert peak < 10e6


@pytest.mark.parametrize("block", [800, 1_600, 16_000, 48_000])
def test_what_stands_before_the_damage_is_used_however_long_the_blocks_are(tmp_path: Path, block: int) -> None:
    """libsndfile gives nothing of a read in which it comes to the damage."""
    file = tmp_path / "half.flac"
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, 2 * 16_000)
    soundfile.write(file, sound, 16_000)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    read = read_all(FileSource(file, block=block))
    assert len(read) > 0.3 * len(sound)
    np.testing.assert_allclose(read, sound[: len(read)], atol=1e-4)
