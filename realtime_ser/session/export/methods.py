"""A paragraph for the methods section of a paper: what was done, by what, and what it cannot tell."""

from __future__ import annotations

from realtime_ser.session.reader import Session

__all__ = ["methods_paragraph"]


def methods_paragraph(session: Session) -> str:
    """Complete sentences, all of whose numbers come from the session."""
    header = session.header
    rate = header.sample_rate
    utterances = session.utterances()
    abstained = sum(row["label"] is None for row in utterances)
    devices = session.devices()
    source = devices[0]["device"] if devices else header.input
    missing = sum(row["end_sample"] - row["start_sample"] for row in session.gaps()) / rate
    gaps = f" {missing:.2f} s of the input were lost and are marked as gaps." if missing else " No input was lost."
    if header.recognizer == "none":
        words = "No words were recognised; the scores rest on the voice alone."
    else:
        words = f"Words were recognised by {header.recognizer} and fused with the voice by attention."
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
        f"abstentions are reported as such.{later}{gaps} All times are indices of samples.{ending} The networks were "
        "trained on acted speech; their scores describe how speech sounds and reads, not what a person feels."
    )
