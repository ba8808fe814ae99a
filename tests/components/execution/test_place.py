"""Where an execution writes is found out, and refused, before anything runs."""

from __future__ import annotations

import os
import threading

import pytest

from dagbook.errors import DagbookError
from dagbook.execution.place import take_place
from dagbook.execution.run_folder import LOCK_NAME


def test_more_than_there_is_room_for_is_refused(tmp_path):
    free = os.statvfs(tmp_path)
    with pytest.raises(DagbookError) as refused:
        take_place(None, tmp_path, 0.0, needs=free.f_blocks * free.f_frsize)
    said = str(refused.value)
    assert said.startswith(f"{tmp_path}: ")
    assert "are free there, and a run of this notebook needs at least" in said
    assert said.endswith("Free some space, or choose another place.")
    assert [*tmp_path.iterdir()] == []


def test_two_names_of_one_file_are_one_place(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "out.ipynb", tmp_path / "link.ipynb"
    target.write_text("{}", "utf-8")
    link.symlink_to(target)
    place = take_place(link, tmp_path, 0.0)
    with pytest.raises(DagbookError, match="another run is writing it now"):
        take_place(target, tmp_path, 0.0)
    place.journal.discard()
    take_place(target, tmp_path, 0.0).journal.discard()


def test_a_folder_reached_through_a_link_is_one_place(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    place = take_place(tmp_path / "link" / "out.ipynb", tmp_path, 0.0)
    assert place.output == tmp_path / "link" / "out.ipynb"
    with pytest.raises(DagbookError, match="another run is writing it now"):
        take_place(tmp_path / "there" / "out.ipynb", tmp_path, 0.0)
    place.journal.discard()


def test_runs_of_one_second_that_start_together_have_names_of_their_own(tmp_path):
    """Also while others end: a name is looked up only by who holds it."""
    taken, together = [], threading.Barrier(8)

    def start():
        together.wait()
        for _ in range(20):
            place = take_place(None, tmp_path, 1000.0)
            place.notebook("succeeded").write_text("{}", "utf-8")
            taken.append(place.stem)
            place.journal.discard()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken)) == len(taken) == 160
    assert len([*tmp_path.iterdir()]) == 160


def test_what_is_held_by_nobody_and_cannot_be_finished_is_not_called_another_run(
    tmp_path, monkeypatch
):
    output = tmp_path / "out.ipynb"
    take_place(output, tmp_path, 0.0).journal.release()
    monkeypatch.setattr("dagbook.execution.place.recover_runs", lambda _: [])
    with pytest.raises(DagbookError) as refused:
        take_place(output, tmp_path, 0.0)
    assert str(refused.value) == (
        f"{output}: a run that vanished left {tmp_path / '.out.running'}, of which no notebook "
        "can be written there. Free some space or mend the folder, or choose another name."
    )
    assert (tmp_path / ".out.running" / LOCK_NAME).exists()
