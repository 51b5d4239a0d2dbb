"""Open Sound Control over UDP: for Max, Pure Data, TouchDesigner, Unity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from realtime_ser.config import ENGINE_RATE
from realtime_ser.errors import ConfigError
from realtime_ser.outlets.feed import Item, Mark, StreamFacts, item_records
from realtime_ser.types import Estimate, EstimateState, Verdict, WindowScores

__all__ = ["OscOutlet"]


class OscOutlet:
    """Sends ``/ser/window``, ``/ser/estimate``, ``/ser/utterance`` and ``/ser/marker`` to one address.

    Of several people, the first three become ``/ser/1/window`` and so on, and ``/ser/people`` tells the names.

    Parameters
    ----------
    host, port
        Where to; UDP knows of no receiver, so nothing is told where nobody listens.

    Raises
    ------
    ConfigError
        python-osc is missing, or the host is not known.
    """

    def __init__(self, facts: StreamFacts, host: str, port: int) -> None:
        self.name = f"OSC to {host}:{port}"
        self._facts = facts
        self._refused = 0
        try:
            from pythonosc.udp_client import SimpleUDPClient
        except ImportError as error:
            remedy = "Install it: pip install 'realtime-ser[outlets]'."
            raise ConfigError("Open Sound Control needs python-osc.", remedy) from error
        try:
            self._client: Any = SimpleUDPClient(host, port)
        except OSError as error:
            raise ConfigError(
                f"{host!r} is no address that OSC can be sent to: {error.strerror}.", "Check host and port."
            ) from error
        self._push("/ser/classes", list(facts.classes))
        if facts.people:
            self._push("/ser/people", list(facts.people))

    def send(self, item: Item) -> None:
        """Send an item."""
        content = item.content
        whose = f"/{item.person + 1}" if self._facts.people else ""
        match content:
            case WindowScores():
                for span, scores, voiced in zip(content.window_spans(), content.scores, content.voiced, strict=True):
                    self._push(f"/ser{whose}/window", [span.end / ENGINE_RATE, int(voiced), *map(float, scores)])
            case Estimate() if content.state is not EstimateState.NO_SPEECH:
                self._push(f"/ser{whose}/estimate", self._judged(content))
            case Verdict():
                start = content.span.first / ENGINE_RATE
                self._push(f"/ser{whose}/utterance", [start, *self._judged(content.estimate)])
                if content.bleed is not None:
                    self._push(f"/ser{whose}/bleed", [start, float(content.bleed)])
            case Mark():
                for record in item_records(item, self._facts):
                    self._push("/ser/marker", [record["start"], record["name"], record["source"]])
            case _:
                pass

    def _judged(self, estimate: Estimate) -> list[Any]:
        words = [] if estimate.transcript is None else [estimate.transcript.text]
        label = estimate.label or str(estimate.state)
        end = estimate.span.end / ENGINE_RATE
        return [end, label, float(estimate.confidence), *map(float, estimate.scores), *words]

    def _push(self, address: str, values: list[Any]) -> None:
        try:
            self._client.send_message(address, values)
        except OSError:  # the system's buffer is full, or there is no way there: later messages may pass
            self._refused += 1

    def close(self) -> None:
        """Nothing waits in UDP; the socket goes with the client."""

    def losses(self) -> Sequence[str]:
        """What the system did not take."""
        return [f"{self._refused} messages could not be sent"] if self._refused else []
