"""What rescli keeps for the next time is computed again where it is damaged."""

import os
import shutil

from trials.case import faults
from trials.mutate.damage import damaged
from trials.mutate.weights import Weights


@faults(short=0, long=90)
def test_kept_logits(case, judge, sound, work):
    cache = work / "cache"
    shutil.copytree(judge.home / "cache", cache, symlinks=True, ignore=shutil.ignore_patterns("logits"))
    command = ("eval", sound.net, "--split", "val", "--device", "cpu", "--json")
    like = judge.remember("kept logits", *command, "--no-cache")
    kept = sound.folder / "logits"
    if not kept.exists():
        judge.run(*command, env={"XDG_CACHE_HOME": str(cache)})
        shutil.copytree(cache / "rescli/logits", kept)
    else:
        shutil.copytree(kept, cache / "rescli/logits")
    (entry,) = (cache / "rescli/logits").iterdir()
    way = case.dice.randrange(5)
    if way == 0:
        data, what = Weights.read(entry.read_bytes()).change_frame(case.dice)
    elif way == 1:
        weights = Weights.read(entry.read_bytes())
        what = (
            weights.change_tensors(case.dice)
            if case.dice.random() < 0.5
            else weights.change_metadata(case.dice).what
        )
        data = weights.write()
    elif way == 2:
        entry.unlink()
        odd = case.dice.choice(("a folder", "a pipe", "a link to /dev/zero", "a link to itself"))
        case.tries("cache: logits", f"the entry is {odd}")
        if odd == "a folder":
            entry.mkdir()
        elif odd == "a pipe":
            os.mkfifo(entry)
        else:
            entry.symlink_to("/dev/zero" if "zero" in odd else entry)
        data = None
    else:
        data, what = damaged(case.dice, entry.read_bytes())
    if data is not None:
        case.tries("cache: logits", what)
        entry.write_bytes(data)
    judge.judge(case, *command, allowed={0}, like=like, env={"XDG_CACHE_HOME": str(cache)})


@faults(short=0, long=15)
def test_kept_kernels(case, judge, sound, work):
    """Compiled code that is damaged is compiled anew: what runs it may crash, or compute anything."""
    cache = work / "cache/rescli/native"
    shutil.copytree(judge.home / "cache/rescli/native", cache)
    place = case.dice.choice(sorted(cache.iterdir()))
    data, what = damaged(case.dice, place.read_bytes())
    case.tries("cache: compiled kernels", f"{place.name.split('-')[0]}: {what}")
    place.write_bytes(data)
    command = ("train", "shapes/base", *sound.net_flags, "-q", "--out", work / "run")
    judge.judge(case, *command, allowed={0}, env={"XDG_CACHE_HOME": str(work / "cache")}, seconds=60)
