"""Lab Streaming Layer: window scores, utterances and markers out, markers of other programs in."""

from __future__ import annotations

import json
import logging
import platform
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import ConfigError
from realtime_ser.outlets.feed import Item, Mark, StreamFacts, item_records
from realtime_ser.types import Verdict, WindowScores

__all__ = ["LslClock", "LslMarkers", "LslOutlet", "load_lsl"]

_log = logging.getLogger(__name__)

_OWN = "realtime-ser-"
_TRIES = 25
_AGAIN = 10.0
"""Seconds after which the offset between the clocks is measured again."""
_LONGEST_NAME = 500
_WAIT = 0.2


def load_lsl() -> Any:
    """The library pylsl. Raises :class:`ConfigError` where it, or the C library below it, is missing."""
    try:
        import pylsl
    except ImportError as error:
        raise ConfigError("Lab Streaming Layer needs pylsl.", "Install it: pip install 'realtime-ser[lsl]'.") from error
    except (RuntimeError, OSError) as error:
        raise ConfigError(
            "pylsl is installed, but the library liblsl that it needs was not found.",
            "Install liblsl (conda install -c conda-forge liblsl, brew install labstreaminglayer/tap/lsl, or the package of "
            "your system), or let the environment variable PYLSL_LIB name its file.",
        ) from error
    return pylsl


def _nobody(offset: float, uncertainty: float) -> None:
    pass


class LslClock:
    """LSL's clock against ``time.perf_counter()``. Belongs to one thread.

    Parameters
    ----------
    local_clock
        LSL's, in seconds.
    tell
        Told of every measurement that is used: offset and uncertainty.
    """

    def __init__(self, local_clock: Callable[[], float], tell: Callable[[float, float], None] = _nobody) -> None:
        self._local_clock = local_clock
        self._tell = tell
        self._told = 0.0
        self._measured = 0.0
        self._offset = 0.0
        self.uncertainty = 0.0
        """Half the time that the best reading of both clocks took, in seconds."""
        self._measure()

    @property
    def offset(self) -> float:
        """Seconds to add to ``perf_counter()``; measured anew from time to time."""
        if time.perf_counter() - self._measured > _AGAIN:
            self._measure()
        if self._told != self._measured:
            self._told = self._measured
            self._tell(self._offset, self.uncertainty)
        return self._offset

    def _measure(self) -> None:
        readings = []
        for _ in range(_TRIES):
            before = time.perf_counter()
            there = self._local_clock()
            after = time.perf_counter()
            readings.append((after - before, there - (before + after) / 2))
        # A reading that was interrupted is long, so the shortest counts.
        width, self._offset = min(readings)
        self.uncertainty = width / 2
        self._measured = time.perf_counter()


class LslOutlet:
    """Three streams: window scores (regular, 100 Hz), utterances and markers (irregular, JSON).

    Of several people, everybody has the first two, named after the person and told apart by their source identifiers.

    A window is stamped with the capture time of its last sample, an utterance with that of the end of its voice, a marker with
    the moment marked; all in LSL's clock.

    Parameters
    ----------
    facts
        Told in the streams' descriptions.
    tell_clock
        Told of how LSL's clock stands to ``perf_counter()``, from time to time, by the outlet's thread: see :class:`LslClock`.

    Raises
    ------
    ConfigError
        pylsl or liblsl is missing.
    """

    def __init__(self, facts: StreamFacts, tell_clock: Callable[[float, float], None] = _nobody) -> None:
        self.name = "LSL"
        lsl = load_lsl()
        self._facts = facts
        self._clock = LslClock(lsl.local_clock, tell_clock)
        rate = ENGINE_RATE / facts.hop
        people = range(max(1, len(facts.people)))
        irregular = (1, lsl.IRREGULAR_RATE, lsl.cf_string)
        self._windows = [
            lsl.StreamOutlet(self._info(lsl, "windows", "Emotion", len(facts.classes) + 1, rate, lsl.cf_float32, person))
            for person in people
        ]
        self._utterances = [lsl.StreamOutlet(self._info(lsl, "utterances", "Markers", *irregular, person)) for person in people]
        self._markers = lsl.StreamOutlet(self._info(lsl, "markers", "Markers", *irregular))

    def _info(self, lsl: Any, stream: str, kind: str, channels: int, rate: float, form: int, person: int | None = None) -> Any:
        facts = self._facts
        whose, name = "", ""
        if person is not None and facts.people:
            whose, name = f"-{person + 1}", f" {facts.people[person]}"
        source = f"{_OWN}{stream}{whose}-{platform.node()}-{facts.fingerprint[:12]}"
        info = lsl.StreamInfo(f"Realtime SER {stream}{name}", kind, channels, rate, form, source)
        description = info.desc()
        description.append_child_value("manufacturer", "Realtime SER")
        if name:
            description.append_child_value("person", name.strip())
        about = description.append_child("bundle")
        about.append_child_value("name", facts.bundle)
        about.append_child_value("manifest_sha256", facts.fingerprint)
        stamps = {"windows": "capture of the window's last sample", "utterances": "capture of the end of voice"}
        description.append_child_value("stamp", stamps.get(stream, "moment marked"))
        labels = [(name, "probability") for name in facts.classes] + [("voiced", "0 or 1")]
        if stream == "windows":
            description.append_child_value("window_seconds", str(facts.window / ENGINE_RATE))
            # Readers that smooth the stamps of regular streams would draw what lies behind a gap into it.
            description.append_child("synchronization").append_child_value("can_drop_samples", "true")
        else:
            labels = [(stream, "JSON")]
        listed = description.append_child("channels")
        for label, unit in labels:
            channel = listed.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", unit)
            channel.append_child_value("type", kind)
        return info

    def send(self, item: Item) -> None:
        """Send windows, utterances and markers; the rest has no stream."""
        at = item.at + self._clock.offset
        match item.content:
            case WindowScores() as windows:
                last = len(windows.scores) - 1
                for index, (scores, voiced) in enumerate(zip(windows.scores, windows.voiced, strict=True)):
                    stamp = at - (last - index) * windows.hop / ENGINE_RATE
                    self._windows[item.person].push_sample([*map(float, scores), float(voiced)], stamp)
            case Verdict():
                self._push(self._utterances[item.person], item, at)
            case Mark():
                self._push(self._markers, item, at)
            case _:
                pass

    def _push(self, stream: Any, item: Item, at: float) -> None:
        for record in item_records(item, self._facts):
            stream.push_sample([json.dumps(record, ensure_ascii=False)], at)

    def close(self) -> None:
        """End the streams."""
        del self._windows, self._utterances, self._markers

    def losses(self) -> Sequence[str]:
        """Nothing is known here: LSL keeps the last six minutes for every receiver."""
        return ()


class LslMarkers:
    """Takes the markers of another program's stream, on a thread of its own; entered for as long as they are wanted.

    Parameters
    ----------
    stream
        Its name.
    take
        Called by that thread with the marker's text and its ``perf_counter()`` time, corrected for the other clock.
    tell
        Called by that thread with what the user should know.
    tell_clock
        As for :class:`LslOutlet`, by that thread.

    Raises
    ------
    ConfigError
        pylsl or liblsl is missing.
    """

    def __init__(
        self,
        stream: str,
        take: Callable[[str, float], None],
        tell: Callable[[str], None],
        tell_clock: Callable[[float, float], None] = _nobody,
    ) -> None:
        self._lsl = load_lsl()
        self._tell_clock = tell_clock
        self._stream, self._take, self._tell = stream, take, tell
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lsl-markers", daemon=True)

    def __enter__(self) -> LslMarkers:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        try:
            # It goes on asking: one question may be over before a slow network has answered.
            resolver = self._lsl.ContinuousResolver("name", self._stream)
            inlet = None
            while inlet is None and not self._over.wait(_WAIT):
                inlet = self._find(resolver)
            del resolver
            if inlet is not None:
                self._listen(inlet)
        except Exception as error:  # noqa: BLE001 - the other program's fault must not end the recording
            _log.error("The markers of %s ended.", self._stream, exc_info=error)
            self._tell(f"Markers from LSL's stream {self._stream!r} are no longer received: {error}.")

    def _find(self, resolver: Any) -> Any:
        for info in resolver.results():
            # Its own markers would come round again for ever.
            if not info.source_id().startswith(f"{_OWN}markers"):
                inlet = self._lsl.StreamInlet(info)
                inlet.open_stream(5.0)
                self._tell(f"Markers are received from LSL's stream {self._stream!r} on {info.hostname()}.")
                return inlet
        return None

    def _listen(self, inlet: Any) -> None:
        clock = LslClock(self._lsl.local_clock, self._tell_clock)
        correction = 0.0
        while not self._over.is_set():
            sample, stamp = inlet.pull_sample(_WAIT)
            if sample is None:
                continue
            try:
                correction = inlet.time_correction(2.0)
            except Exception as error:  # noqa: BLE001 - pylsl's own exceptions; the last correction still holds
                _log.warning("No time correction for %s: %s", self._stream, error)
            text = " ".join(str(value) for value in sample).strip()[:_LONGEST_NAME]
            if text:
                self._take(text, stamp + correction - clock.offset)
