"""The sessions of a run: from each start or resume to where it was interrupted or ended. No torch."""

from __future__ import annotations

import itertools

from rescli.runs.stored_record import RunRecord, SessionRecord

__all__ = ["new_session", "sessions_before", "sessions_of", "up_to_date"]

_KILLED = "killed"


def new_session(record: RunRecord) -> SessionRecord:
    """The session that a record of this moment begins."""
    return {
        "began": record["updated"],
        "from_iteration": record["iterations_done"],
        "status": record["status"],
        "updated": record["updated"],
        "iterations_done": record["iterations_done"],
        **_what_computes(record),
    }


def up_to_date(record: RunRecord) -> list[SessionRecord]:
    """All sessions of a record, the newest with the status and the progress that the record has now."""
    *earlier, newest = record["sessions"]
    newest = newest.copy()
    newest["status"] = record["status"]
    newest["updated"] = record["updated"]
    newest["iterations_done"] = record["iterations_done"]
    return [*earlier, newest]


def sessions_before(before: RunRecord) -> list[SessionRecord]:
    """The sessions of a run that goes on now, or begins again because no state was saved.

    The caller holds the run's lock: a session that still says "running" was killed.

    Args:
        before: the record as the last session left it; empty for a new run.
    """
    sessions = sessions_of(before)
    if sessions and sessions[-1].get("status") == "running":
        killed = sessions[-1].copy()
        killed["status"] = _KILLED
        sessions = [*sessions[:-1], killed]
    return sessions


def sessions_of(record: RunRecord) -> list[SessionRecord]:
    """The sessions of a record; of one by an earlier version, what it tells of them."""
    listed = record.get("sessions")
    return _of_earlier_version(record) if listed is None else listed


def _what_computes(record: RunRecord) -> SessionRecord:
    found: SessionRecord = {}
    for key in ("device", "precision", "engine", "kernels", "threads", "ranks", "rescli_version", "git"):
        if key in record:
            found[key] = record[key]
    if "versions" in record:
        found["torch_version"] = record["versions"].get("torch")
    return found


def _of_earlier_version(before: RunRecord) -> list[SessionRecord]:
    """What a record without sessions tells of them: where each began, and all of the last one."""
    if "iterations_done" not in before or "status" not in before or "continues" in before:
        return []  # a new run; or one that took over another's state, whose sessions nobody noted
    sessions: list[SessionRecord] = [{"from_iteration": step} for step in (0, *before.get("resumed_at", []))]
    for session, following in itertools.pairwise(sessions):
        session["iterations_done"] = following["from_iteration"]
    if started := before.get("started"):
        sessions[0]["began"] = started
    last: SessionRecord = {**sessions[-1], **_what_computes(before)}
    last["status"], last["iterations_done"] = before["status"], before["iterations_done"]
    if "updated" in before:
        last["updated"] = before["updated"]
    return [*sessions[:-1], last]
