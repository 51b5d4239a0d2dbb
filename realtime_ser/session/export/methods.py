"""A paragraph for the methods section of a paper: what was done, by what, and what it cannot tell."""

from __future__ import annotations

from collections.abc import Sequence

from realtime_ser.session.reader import Row, Session, is_bleed

__all__ = ["methods_paragraph"]


def _bleed_sentence(utterances: Sequence[Row]) -> str:
    """How many utterances are probably another's voice, and how many could not be judged."""
    marked = sum(is_bleed(row) for row in utterances)
    unknown = sum(row["bleed"] is None for row in utterances)
    text = f"{marked} of the utterances were marked as probably another's voice by levels and likeness of the channels."
    return f"{text} {unknown} could not be judged." if unknown else text


def methods_paragraph(session: Session) -> str:
    """Complete sentences, all of whose numbers come from the session."""
    header = session.header
    rate = header.sample_rate
    people = session.everybody()
    utterances = [row for one in people for row in one.utterances()]
    abstained = sum(row["label"] is None for row in utterances)
    # A file's path belongs in no paper; its name is in the header.
    heard = [one.devices() if one.header.live else [] for one in people]
    devices = [(rows or [{"device": one.header.input}])[0]["device"] for one, rows in zip(people, heard, strict=True)]
    source = " and ".join(devices)
    missing = sum(row["end_sample"] - row["start_sample"] for one in people for row in one.gaps()) / rate
    gaps = f" {missing:.2f} s of the input were lost and are marked as gaps." if missing else " No input was lost."
    if header.recognizer == "none":
        words = "No words were recognised; the scores rest on the voice alone."
    else:
        words = f"Words were recognised by {header.recognizer} and fused with the voice by attention."
    several = ""
    if len(people) > 1:
        several = (
            f" {len(people)} people were recorded, each on a channel of their own, and scored independently of each other. "
            "What one of them said is also in another's channel, more softly; it was not removed there. "
        )
        several += _bleed_sentence(utterances)
        if any(one.clock == "own" for one in header.people):
            several += (
                " Their devices' clocks were related by the computer's; the times of all are on the first device's clock."
            )
    later = "" if session.scores is None else " These scores were computed afterwards, from the sound that was kept."
    profile = header.profile
    adapted = ""
    if profile is not None:
        adapted = f" The system was adapted to the speaker by {profile.voiced_seconds:.0f} s of neutral speech."
    # An interrupted session says so in the paper, too.
    state = session.state()
    ending = "" if state.phase == "closed" else f" The recording did not end regularly: {state.message}"
    return (
        f"Vocal expression was scored with Realtime SER {header.program} (bundle {header.bundle.name} {header.bundle.version}, "
        f"SHA-256 {header.bundle.sha256[:16]}), an implementation of Priyasad et al. (2020). Audio ({source}) was processed at "
        f"{rate / 1000:g} kHz; a SincNet encoder scored windows of {1000 * header.window / rate:g} ms every "
        f"{1000 * header.hop / rate:g} ms for {len(header.classes)} classes ({', '.join(header.classes)}).{adapted} {words} "
        f"Utterances were delimited by voice activity; the recording of {session.seconds:.1f} s holds {len(utterances)} of "
        f"them, for {abstained} of which the system abstained, since its confidence was below the calibrated threshold; "
        f"abstentions are reported as such.{several}{later}{gaps} All times are indices of samples.{ending} The networks were "
        "trained on acted speech; their scores describe how speech sounds and reads, not what a person feels."
    )
