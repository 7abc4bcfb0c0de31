"""Official archives that are not what they were, and a CIFAR folder that is none."""

import io
import pickle
import shutil
import tarfile

from trials.case import faults
from trials.mutate.damage import damaged
from trials.mutate.lines import changed_table


@faults(short=1, long=110)
def test_imagenet(case, ilsvrc, judge, work):
    names = sorted(path.name for path in ilsvrc.folder.iterdir())
    way = case.dice.randrange(6)
    place = ilsvrc.folder / case.dice.choice(names)
    if way < 2:
        data, what = damaged(case.dice, place.read_bytes())
        place.write_bytes(data)
    elif way == 2:
        place = ilsvrc.folder / "ILSVRC2012_img_train.tar"
        what = _odd_member(case, place)
    elif way == 3:
        place = ilsvrc.folder / "ILSVRC2012_img_val.tar"
        what = _odd_member(case, place)
    else:
        (ilsvrc.folder / "ILSVRC2012_devkit_t12.tar.gz").unlink()
        place = ilsvrc.folder / case.dice.choice(("val.csv", "LOC_val_solution.csv"))
        rows = "".join(f"{file},{wnid}\n" for file, (wnid, _) in sorted(ilsvrc.val.items()))
        data, what = changed_table(case.dice, rows, ",")
        place.write_bytes(data)
    case.tries("ImageNet's archives", f"{place.name}: {what}")
    out = work / "imagenet"
    command = ("data", "prepare", "imagenet", "--from", ilsvrc.folder, "--out", out, "--json")
    ended = judge.judge(case, *command, allowed={0, 3})
    outside = [*work.rglob("canary*"), *ilsvrc.folder.rglob("canary*")]
    if outside:
        raise case.fails("unnoticed", f"a member was written where none belongs: {outside}")
    if ended.code == 3 and case.dice.random() < 0.3:  # once it is mended, the same command ends well
        shutil.rmtree(ilsvrc.folder)
        ilsvrc.folder.mkdir()
        ilsvrc.write_train(), ilsvrc.write_val(), ilsvrc.write_devkit()
        judge.judge(case, *command, allowed={0, 3})


def _odd_member(case, archive):
    with tarfile.open(archive) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar if member.isfile()]
    number = case.dice.randrange(len(members))
    member, content = members[number]
    way = case.dice.choice(
        ("damaged", "named", "gone", "twice", "a link", "a device", "a folder", "empty", "of 8 GB")
    )
    what = f"{member.name} is {way}"
    if way == "damaged":
        content, how = damaged(case.dice, content)
        member.size, what = len(content), f"{member.name}: {how}"
        members[number] = member, content
    elif way == "named":
        member.name = case.dice.choice(
            (
                "../canary.tar",
                "/tmp/canary.tar",
                "n01440764/../../canary",
                "n" * 300,
                "\x1b[31m.tar",
                "a\nb.JPEG",
                "",
                "x",
            )
        )
        what += f" {member.name[:40]!r}"
    elif way == "gone":
        del members[number]
    elif way == "twice":
        members.append(members[number])
    elif way == "empty":
        member.size = 0
        members[number] = member, b""
    else:
        member.type = {
            "a link": tarfile.SYMTYPE,
            "a device": tarfile.CHRTYPE,
            "a folder": tarfile.DIRTYPE,
        }.get(way, tarfile.REGTYPE)
        member.linkname = "/etc/passwd" if way == "a link" else ""
        member.size = 0 if way != "of 8 GB" else member.size
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for one, data in members:
            tar.addfile(one, io.BytesIO(data) if one.size else None)
    data = written.getvalue()
    if way == "of 8 GB":
        at = data.find(b"ustar") - 257
        data = data[: at + 124] + b"77777777777\0" + data[at + 136 :]
    archive.write_bytes(data)
    return what


class _Calls:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return __import__("os").system, (self.command,)


@faults(short=0, long=40)
def test_cifar(case, judge, work):
    """Nothing but the official files passes their MD5, so whatever is in these nobody sees."""
    folder = work / "cifar-10-batches-py"
    folder.mkdir()
    payload = pickle.dumps(_Calls(f"touch {work.parent}/canary"))
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(payload if case.dice.random() < 0.5 else damaged(case.dice, payload)[0])
    way = case.dice.choice(
        ("as it is", "one is gone", "one is a folder", "one is endless", "an archive", "a cut archive")
    )
    place = folder / "data_batch_1"
    root = work
    if way.startswith("one"):
        place.unlink()
        if way == "one is a folder":
            place.mkdir()
        elif way == "one is endless":
            place.symlink_to("/dev/zero")
    elif "archive" in way:
        root = work / "cifar-10-python.tar.gz"
        with tarfile.open(root, "w:gz") as tar:
            tar.add(folder, folder.name)
        if way == "a cut archive":
            root.write_bytes(damaged(case.dice, root.read_bytes())[0])
    case.tries("CIFAR's files", way)
    command = case.dice.choice(
        (
            ("data", "verify", "cifar10", "--data-root", root, "--json"),
            (
                "train",
                "cifar10/resnet-20",
                "--iterations",
                2,
                "--data-root",
                root,
                "--out",
                work / "run",
                "-q",
                "--json",
            ),
        )
    )
    judge.judge(case, *command, allowed={3}, names=[work.name])
    assert not (work.parent / "canary").exists()
