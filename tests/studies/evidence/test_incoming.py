"""Runs of another machine beside those of this one."""

import errno
import os
import shutil

import pytest
from shape_run import CPU_FP32, SMALL, begin

from rescli.data.specs import ShapesSpec
from rescli.errors import DataError, RunDirError
from rescli.runs.directory import RunDir
from rescli.runs.stored_record import read_record
from rescli.spec.load import load_spec
from rescli.studies.evidence import incoming
from rescli.studies.evidence.incoming import take_runs
from rescli.studies.paper_items import PaperNet
from rescli.studies.queued_run import QueuedRun

SPEC = load_spec("shapes/base", SMALL)
NET = PaperNet("a net", "shapes/base")


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    folder = tmp_path_factory.mktemp("there")
    begin(folder / "run", CPU_FP32)
    return folder


def take(folders, runs, **changes):
    specs = {NET: [SPEC.model_copy(update=changes)]}
    return take_runs(folders, runs, specs, data_root=None)


def test_each_is_told_and_the_second_copy_is_here_already(there, tmp_path):
    shutil.copytree(there / "run", tmp_path / "gpu" / "one")
    shutil.copytree(there / "run", tmp_path / "gpu" / "two")
    (tmp_path / "gpu" / "notes").mkdir()
    told = []
    found = take_runs([tmp_path / "gpu"], tmp_path / "runs", {NET: [SPEC]}, data_root=None, tell=told.append)
    assert [one.outcome for one in found] == ["taken", "here already"]
    assert told == found
    assert found[0].note is None
    assert QueuedRun.below(tmp_path / "runs", SPEC).status == "finished"


def test_a_folder_that_is_a_link_is_followed_and_the_copy_is_none(there, tmp_path):
    (tmp_path / "gpu").symlink_to(there)
    (one,) = take([tmp_path / "gpu"], tmp_path / "runs")
    assert one.outcome == "taken"
    assert not any(path.is_symlink() for path in (tmp_path / "runs").rglob("*"))


@pytest.mark.parametrize("missing", [True, False])
def test_without_images_here_nobody_compares_and_nothing_is_downloaded(there, tmp_path, monkeypatch, missing):
    def build(*_):
        assert missing, "it would be downloaded"
        raise DataError("no such folder.")

    monkeypatch.setattr(ShapesSpec, "build", build)
    monkeypatch.setattr(ShapesSpec, "would_download", lambda *_: not missing)
    (one,) = take([there], tmp_path / "runs")
    reason = "no such folder" if missing else "shapes is not here"
    assert (one.outcome, one.note) == ("taken", f"its images were not compared: {reason}")


def test_where_many_keys_differ_the_first_are_named(there, tmp_path):
    (one,) = take([there], tmp_path / "runs", precision="fp32", seed=3)
    assert one.outcome == "refused"
    assert "precision is auto, wanted fp32, seed is 0, wanted 3" in one.reason
    assert one.remedy is None


def test_something_else_at_its_place_stays(there, tmp_path):
    path = QueuedRun.below(tmp_path / "runs", SPEC).path
    path.mkdir(parents=True)
    (path / "notes.txt").write_text("mine")
    (one,) = take([there], tmp_path / "runs")
    assert "is something else" in one.reason
    assert [entry.name for entry in path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_at_its_place_is_no_obstacle(there, tmp_path):
    path = QueuedRun.below(tmp_path / "runs", SPEC).path
    path.mkdir(parents=True)
    (one,) = take([there], tmp_path / "runs")
    assert (one.outcome, RunDir(path).last.is_file()) == ("taken", True)


def test_nothing_is_taken_where_a_folder_is_wrong(there, tmp_path):
    with pytest.raises(RunDirError, match="holds no run"):
        take([there, tmp_path], tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


def test_images_that_are_others_than_ours(there, tmp_path, monkeypatch):
    build = ShapesSpec.build

    def of_another_seed(self, data_root, splits):
        return build(self.model_copy(update={"data_seed": 7}), data_root, splits)

    monkeypatch.setattr(ShapesSpec, "build", of_another_seed)
    (one,) = take([there], tmp_path / "runs")
    assert one.outcome == "refused"
    assert "other images than those here: train, val" in one.reason


def test_a_full_disk_leaves_nothing(there, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(incoming, "fsync_path", full)
    (one,) = take([there], tmp_path / "runs")
    assert (one.outcome, "No space left" in one.reason) == ("refused", True)
    assert list((tmp_path / "runs").iterdir()) == []


def cut_last(run_dir):
    run_dir.last.write_bytes(run_dir.last.read_bytes()[:-10])


def link_last(run_dir):
    elsewhere = run_dir.path.parent.parent / "secret"
    shutil.move(run_dir.last, elsewhere)
    run_dir.last.symlink_to(elsewhere)


def unfinished(run_dir):
    run_dir.record.write_text(run_dir.record.read_text().replace('"finished"', '"interrupted"'))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (unfinished, "it is not finished"),
        (cut_last, "is not a whole safetensors file"),
        (link_last, "is a link that leads out of the folder"),
    ],
)
def test_beside_a_finished_run_the_checks_come_first(there, tmp_path, damage, says):
    take([there], tmp_path / "runs")
    shutil.copytree(there / "run", tmp_path / "gpu" / "run")
    damage(RunDir(tmp_path / "gpu" / "run"))
    (one,) = take([tmp_path / "gpu"], tmp_path / "runs")
    assert one.outcome == "refused"
    assert says in one.reason


def test_a_run_that_was_imported_before_keeps_where_it_came_from_first(there, tmp_path):
    """From the machine that trained it over two others to here."""
    source, origins = there, []
    for place in ("second", "third", "here"):
        (one,) = take([source], tmp_path / place)
        imported = read_record(RunDir(one.run))["imported"]
        assert imported["folder"] == str(one.folder)
        assert imported.get("earlier", []) == origins
        origins = [*origins, {key: imported[key] for key in ("folder", "date")}]
        source = tmp_path / place
    assert origins[0]["folder"] == str(there / "run")
