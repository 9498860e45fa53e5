"""The job that brings the lake up to date; there if a lake is set.

Killed, it has lost nothing and written nothing twice: the next one goes on from what is committed. Called by
``desk``, through ``kinds``.
"""

from __future__ import annotations

from typing import Any

from headwater.apps.jobs.kinds import Task
from headwater.apps.lakes import LakeSettings, lake_of


def lake_job(task: Task) -> dict[str, Any]:
    """Export what is new.

    Raises:
        DataError: a setting cannot be read, or a table cannot go on as it is declared now.
        StoreError: another export writes to the lake, or it cannot be written; the job is tried again.
        MissingExtraError: Delta is to be written, and deltalake is not installed.
    """
    settings = LakeSettings.read(task.environ, task.settings.data)
    with lake_of(task.project, task.settings, settings) as lake:
        done = lake.export(lambda _table, _place, _end: task.step())
    return {"tables": {one.table: {"rows": one.rows, "place": one.place} for one in done}}
