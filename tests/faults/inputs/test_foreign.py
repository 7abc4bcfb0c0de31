"""Weights of other programs, and what rescli exported and reads back."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save
from trials.case import faults
from trials.mutate.damage import damaged
from trials.mutate.pickles import changed_legacy, changed_zip, saved
from trials.mutate.values import change, odd_text
from trials.mutate.weights import Weights


@pytest.fixture(scope="session")
def state():
    """resnet-8 as akamaster/pytorch_resnet_cifar10 names it."""
    from rescli.models.specs import model_spec

    net = model_spec("resnet-8", image_size=32).build(num_classes=10, image_size=32, seed=0)
    return {name.replace("fc.", "linear."): tensor for name, tensor in net.state_dict().items()}


@pytest.fixture
def imports(case, judge, work):
    """Imports a file, holds it to what is promised, and sees that nothing in it ran."""

    def run(data, *, must_equal=None):
        path, out = work / "weights.pth", work / "net.safetensors"
        path.write_bytes(data)
        command = ("import", path, "--model", "resnet-8", "--dataset", "cifar10", "--out", out, "--json")
        ended = judge.judge(case, *command, allowed={0, 2, 4} if must_equal is None else {0, 4})
        found = [*work.parent.glob("**/canary*")]
        if found:
            raise case.fails("unnoticed", f"what the file holds was run: {found}")
        if ended.code == 0 and must_equal is not None and Weights.read(out.read_bytes()).stored != must_equal:
            raise case.fails("unnoticed", "other weights were imported")
        if ended.code == 0:
            judge.judge(case, "show", out, "--json", allowed={0})
        return ended

    return run


@pytest.fixture
def imported(judge, sound, state):
    """The numbers of the sound file, as they are imported."""
    path, out = sound.folder / "weights.pth", sound.folder / "weights.safetensors"
    if not out.exists():
        path.write_bytes(saved(state, as_zip=True))
        ended = judge.run("import", path, "--model", "resnet-8", "--dataset", "cifar10", "--out", out)
        assert ended.code == 0, ended
    return Weights.read(out.read_bytes()).stored


@faults(short=2, long=280)
def test_zip(case, state, work, imports, imported):
    data, what, damage = changed_zip(case.dice, saved(state, as_zip=True), f"touch {work.parent}/canary")
    case.tries("import: torch.save", what)
    imports(data, must_equal=imported if damage else None)


@faults(short=1, long=160)
def test_legacy(case, state, work, imports):
    data, what = changed_legacy(case.dice, saved(state, as_zip=False), f"touch {work.parent}/canary")
    case.tries("import: torch.save of old", what)
    imports(data)


@faults(short=1, long=90)
def test_safetensors(case, state, imports):
    weights = Weights.read(save(state))
    way = case.dice.randrange(3)
    if way == 0:
        data, what = weights.change_frame(case.dice)
    elif way == 1:
        what = weights.change_tensors(case.dice)
        data = weights.write()
    else:
        data, what = damaged(case.dice, save(state))
    case.tries("import: safetensors", what)
    imports(data)


@faults(short=0, long=60)
def test_tensors(case, state, imports):
    """Sound files with odd content."""
    name = case.dice.choice(sorted(state))
    tensor = state[name]
    odd = {
        "float64": lambda: tensor.double(),
        "half": lambda: tensor.half(),
        "complex": lambda: tensor.to(torch.complex64),
        "bool": lambda: tensor.bool(),
        "on meta": lambda: torch.empty_like(tensor, device="meta"),
        "sparse": lambda: torch.zeros(3, 3).to_sparse(),
        "not finite": lambda: torch.full_like(tensor.float(), float("nan")),
        "a subclass": lambda: torch.nn.Parameter(tensor.float()),
        "of another shape": lambda: tensor.reshape(-1)[:1],
        "expanded to 10^12": lambda: torch.zeros(1).expand(10**12),
        "an int": lambda: 1,
        "a list": lambda: [tensor],
        "None": lambda: None,
        "nested": lambda: {"a": {"b": tensor}},
        "a view of another": lambda: state["linear.weight"].reshape(-1)[:2],
        "float8": lambda: tensor.float().to(torch.float8_e4m3fn),
    }
    what = case.dice.choice(sorted(odd))
    case.tries("import: odd tensors", f"{name} is {what}")
    imports(saved({**state, name: odd[what]()}, as_zip=case.dice.random() < 0.7))


@faults(short=0, long=140)
def test_exported(case, judge, sound, work):
    """Weights with a config.json, as rescli exports them, read back."""
    (sound.folder / "exported").mkdir(exist_ok=True)
    command = ("export", sound.net, "--format", "safetensors", "--check-images", 10, "--out")
    made = sound.make("exported/net.safetensors", *command).parent
    folder = shutil.copytree(made, work / "exported")
    config, weights = folder / "config.json", folder / "net.safetensors"
    description = json.loads(config.read_bytes())
    as_folder = case.dice.random() < 0.4
    if as_folder:  # as Hugging Face has it
        weights = weights.rename(folder / "model.safetensors")
        description = {"architectures": ["ResNetForImageClassification"], "rescli": description}
        config.write_text(json.dumps(description))
    if case.dice.random() < 0.7:
        changed = change(case.dice, description)
        config.write_bytes(changed.text)
        what, path = changed.what, config
    else:
        parts = Weights.read(weights.read_bytes())
        way = case.dice.randrange(3)
        if way == 0:
            data, what = parts.change_frame(case.dice)
        elif way == 1:
            data, what = damaged(case.dice, weights.read_bytes())
        else:
            what = parts.change_tensors(case.dice)
            data = parts.write()
        weights.write_bytes(data)
        path = weights
    case.tries("exported, read back", f"{path.name}: {what}")
    place = folder if as_folder else weights
    picture = sound.photos / "val/cat/1.png"
    out = work / "again.safetensors"
    commands = (
        ("predict", place, picture, "--device", "cpu", "--json"),
        ("predict", place, picture, "--device", "cpu", "--json"),
        ("import", weights, "--model", "resnet-8", "--dataset", "shapes", "--out", out, "--json"),
        ("show", weights, "--json"),
    )
    command = case.dice.choice(commands)
    allowed = {0, 2, 4} if command[0] == "import" or "stands" in what else {0, 4}
    judge.judge(case, *command, allowed=allowed, names=["config.json", weights.name, folder.name])


@faults(short=0, long=60)
def test_class_names(case, judge, sound, state, work):
    """Names of classes from a file, and from there in a checkpoint that others read."""
    place = sound.folder / "weights.pth"
    place.write_bytes(saved(state, as_zip=True))
    names = [f"class {number}" for number in range(10)]
    way = case.dice.randrange(3)
    if way == 0:
        data, what = damaged(case.dice, "\n".join(names).encode())
    else:
        number = case.dice.randrange(10)
        names[number] = odd_text(case.dice)
        what = f"class {number} is {names[number][:40]!r}"
        data = case.dice.choice(("\n", "\r\n", "\n\n")).join(names).encode("utf-8", "surrogatepass")
    case.tries("import: names of classes", what)
    path, out = work / "classes.txt", work / "net.safetensors"
    path.write_bytes(data)
    command = ("import", place, "--model", "resnet-8", "--dataset", "imagefolder", "--classes", path)
    size = ("--set", "data.dataset.image_size=32", "--out", out, "--json")
    ended = judge.judge(case, *command, *size, allowed={0, 2, 3, 4})  # 4: another count
    if ended.code == 0:
        reader = case.dice.choice(
            (("show", out), ("predict", out, sound.photos / "val/cat/1.png", "--device", "cpu"))
        )
        judge.judge(case, *reader, allowed={0})
