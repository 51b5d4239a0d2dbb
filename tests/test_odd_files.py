"""Files as they lie about: the command line names what it cannot use, does the rest, and never shows a stack."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile


def program(*arguments: str, bundle: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "realtime_ser", *arguments, "--recognizer", "none"],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=100,
        env={**os.environ, "REALTIME_SER_BUNDLE": str(bundle)},
    )


@pytest.fixture(scope="module")
def odd(demonstration: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files by what is odd about them."""
    folder = tmp_path_factory.mktemp("odd")
    sound = demonstration[12_000:60_000]
    paths = {
        name: folder / name
        for name in (
            *("good.wav", "Überraschung – 日本語 😀.wav", "  spaces and 'quotes\".wav", "no ending", "really a wav.mp3"),
            *("one sample.wav", "only zeros.wav", "not a number.wav", "very loud.wav", "sixteen channels.wav"),
            *("empty.wav", "text.wav", "cut in the header.wav", "half.flac", "folder.wav", "broken link.wav", "headerless.raw"),
        )
    }
    for name in list(paths)[:5]:
        soundfile.write(paths[name], sound, 16_000, format="WAV")
    soundfile.write(paths["one sample.wav"], sound[:1], 16_000)
    soundfile.write(paths["only zeros.wav"], np.zeros(48_000), 16_000)
    soundfile.write(paths["not a number.wav"], np.full(48_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    soundfile.write(paths["very loud.wav"], sound * np.float32(1e30), 16_000, subtype="FLOAT")
    soundfile.write(paths["sixteen channels.wav"], np.repeat(sound[:, np.newaxis], 16, axis=1), 16_000)
    paths["empty.wav"].touch()
    paths["text.wav"].write_text("RIFF is how it begins, but it is a letter. " * 50)
    paths["cut in the header.wav"].write_bytes(paths["good.wav"].read_bytes()[:30])
    soundfile.write(paths["half.flac"], sound, 16_000)
    paths["half.flac"].write_bytes(paths["half.flac"].read_bytes()[: paths["half.flac"].stat().st_size // 2])
    paths["folder.wav"].mkdir()
    paths["headerless.raw"].write_bytes(bytes(1_000))
    if sys.platform == "win32":
        del paths["broken link.wav"]
    else:
        paths["broken link.wav"].symlink_to(folder / "nowhere.wav")
    return paths


UNUSABLE = {"empty.wav", "text.wav", "cut in the header.wav", "folder.wav", "broken link.wav", "headerless.raw"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forbids quotation marks in names")
def test_analyze_does_what_can_be_done_and_names_the_rest(odd: dict[str, Path], random_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    result = program("analyze", *map(str, odd.values()), "--windows", "--out", str(out), bundle=random_bundle)
    assert result.returncode == 4, result.stderr
    assert "Traceback" not in result.stderr
    for name in UNUSABLE:
        assert f"{odd[name]}: " in result.stderr
    table = pd.read_csv(out)
    assert set(table["file"]) == {str(path) for name, path in odd.items() if name not in UNUSABLE | {"one sample.wav"}}
    assert table[["anger", "happiness", "neutral", "sadness"]].notna().all().all()
    by_file = {Path(file).name: rows.reset_index(drop=True) for file, rows in table.groupby("file")}
    for name in list(odd)[1:5]:
        pd.testing.assert_frame_equal(by_file[name].drop(columns="file"), by_file["good.wav"].drop(columns="file"))


@pytest.mark.parametrize("name", sorted(UNUSABLE))
def test_listen_refuses_what_cannot_be_heard(odd: dict[str, Path], random_bundle: Path, name: str) -> None:
    if name not in odd:
        pytest.skip("Windows makes no links without being asked to")
    result = program("listen", "--input", str(odd[name]), bundle=random_bundle)
    assert result.returncode == 4, result.stderr
    assert str(odd[name]) in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_refused(random_bundle: Path, odd: dict[str, Path], tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.wav")
    Path(name).write_bytes(odd["good.wav"].read_bytes())
    for command in (["listen", "--input"], ["analyze", "--out", str(tmp_path / "table.csv")]):
        result = program(*command, name, bundle=random_bundle)
        assert result.returncode == 4, result.stderr
        assert "no text" in result.stderr
        assert "Traceback" not in result.stderr
