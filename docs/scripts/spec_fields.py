"""The page ``docs/reference/spec.md``: every key of a spec, from the classes that define it."""

from __future__ import annotations

import inspect
import re
import textwrap
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rescli import paper, registry
from rescli.spec.base import PluggedSpec, Spec
from rescli.spec.ledger.ledger import ledger
from rescli.spec.load import load_spec
from rescli.spec.run import RunSpec
from rescli.spec.toml import to_toml
from rescli.spec.units import Unit

__all__ = ["page"]

_STUDIES = {
    "CIFAR": {56: "he2015/resnet-56", 110: "he2015/resnet-110"},
    "ImageNet": {34: "imagenet/resnet-34", 50: "imagenet/resnet-50"},
}
"""The paper's studies, each with presets of the depths between which it changes what it does."""

_KIND_OF_STUDY = {"cifar10": "CIFAR", "imagenet": "ImageNet", "multistep": "CIFAR", "plateau": "ImageNet"}
"""Kinds that one study alone has; the other kinds are of both, or of none."""

_NO_STUDY = ("cifar100", "shapes", "imagefolder")

_FACTS = {
    "data.dataset.val_size": {"CIFAR": "CIFAR_SPLIT"},
    "data.dataset.image_size": {"ImageNet": "CROP"},
    "schedule.warmup.factor": {"CIFAR": "WARMUP_FACTOR"},
    "schedule.warmup.until_train_error": {"CIFAR": "WARMUP_UNTIL_TRAIN_ERROR"},
}
"""Keys of which the ledger has no row of their own to the paper's facts."""

_DEPTHS = {
    "resnet": (paper.CIFAR_DEPTHS, paper.IMAGENET_DEPTHS),
    "plain": (paper.CIFAR_PLAIN_DEPTHS, paper.IMAGENET_PLAIN_DEPTHS),
}

_PLACES = {
    "CIFAR": {"": "section 4.2"},
    "ImageNet": {
        "": "section 3.4",
        "model": "Table 1",
        "model.init_fan": "section 3.4",
        "model.shortcut": "sections 3.3 and 4.1",
    },
}
"""Where in the paper each study says what the ledger holds: the longest beginning of a key counts."""

_WORDS = {int: "a whole number", float: "a number", bool: "`true` or `false`", str: "a text"}

_GROUPS = {
    "models": ("model", "Model", "`--set model=KIND`, or a name such as `--model resnet-56`."),
    "blocks": ("model.block", "Block", "`--set model.block=KIND`; blocks have no keys but `kind`."),
    "datasets": ("data.dataset", "Data set", "`--dataset KIND`, or `--set data.dataset=KIND`."),
    "optimizers": ("optimizer", "Optimizer", "`--set optimizer=KIND`."),
    "schedules": ("schedule", "Schedule", "`--set schedule=KIND`."),
}
"""Registry group to the key that holds one of it, its heading, and how one is chosen."""

_HEAD = """# Every key of a spec

<!-- made by: python docs/scripts/reference.py -->

A spec is all that decides the result of a run. Every key on this page can be set on the command line
(`--set data.batch_size=128`, repeatable), from Python
(`rescli.spec("cifar10/resnet-20", {"data.batch_size": 128})`) and in a recipe of your own
([presets](../training.md#presets-and-your-own-recipes)). A preset sets the most important keys; the default
counts where neither you nor the preset says anything. `rescli presets show NAME` prints a preset.
*The paper* is [He et al. 2015](https://arxiv.org/abs/1512.03385); its values stand in `rescli/paper.py` and
in the ledger of every run.
"""


def page() -> str:
    """The whole page, as Markdown."""
    papers = {study: _paper_of(study) for study in _STUDIES}
    parts = [_HEAD, *_contents(), "## The run\n"]
    parts += [*_section(RunSpec, "", papers), ""]
    for key, title in (
        ("data", "Data"),
        ("evaluation", "Evaluation"),
        ("checkpoint", "Checkpoint"),
        ("metrics", "Metrics"),
        ("start_from", "Weights to begin with"),
    ):
        inner = _spec_in(RunSpec.model_fields[key].annotation)
        assert inner is not None
        parts += [f"## {title}\n", _summary(inner), *_section(inner, key, papers), ""]
    for group, (key, title, chosen) in _GROUPS.items():
        parts += [f"## {title}\n", f"`{key}` is one of these kinds. Choose by {chosen}\n"]
        for name in registry.names(group):
            if registry.origin(group, name)[0] == "rescli":
                kind = registry.load(group, name)
                parts += [f"### {title} `{name}`\n", _summary(kind)]
                parts += [*_section(kind, key, papers, kind=name), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip("\n") + "\n"


def _contents() -> Iterator[str]:
    titles = ["The run", "Data", "Evaluation", "Checkpoint", "Metrics", "Weights to begin with"]
    titles += [title for _, title, _ in _GROUPS.values()]
    for title in titles:
        yield f"- [{title}](#{title.lower().replace(' ', '-')})"
    yield ""


def _summary(spec: type[Spec]) -> str:
    return f"{inspect.cleandoc(spec.__doc__ or '').splitlines()[0]}\n"


def _section(
    spec: type[Spec], prefix: str, papers: dict[str, dict[str, str]], *, kind: str = ""
) -> Iterator[str]:
    """The keys of one class, and of the sections in it that are no plugins."""
    for name, field in spec.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        inner = _spec_in(field.annotation)
        if name == "kind":
            continue
        if field.description:
            yield _entry(key, field, papers, kind)
        # The sections of a run have headings of their own.
        if inner is not None and not issubclass(inner, PluggedSpec) and spec is not RunSpec:
            yield from _section(inner, key, papers, kind=kind)


def _entry(key: str, field: FieldInfo, papers: dict[str, dict[str, str]], kind: str) -> str:
    facts = [_type(field.annotation)]
    if unit := _unit(field.annotation, field.metadata):
        facts.append(f"in {unit}")
    facts += [_allowed(field)] if _allowed(field) else []
    lines = [
        f"- `{key}`: {field.description}",
        f"    - {', '.join(facts)}; {_default(field)}",
        f"    - the paper: {_of_paper(key, papers, kind)}",
    ]
    wrapped = [textwrap.fill(line, 128, subsequent_indent="  " + line[: line.index("-")]) for line in lines]
    return "\n".join(wrapped)


def _spec_in(annotation: Any) -> type[Spec] | None:
    """The section that a key holds, if it holds one."""
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, Spec) else None
    return next((found for one in get_args(annotation) if (found := _spec_in(one))), None)


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in arguments if one is not type(None))
    if origin is Literal:
        return "one of " + ", ".join(f"`{one}`" for one in arguments)
    if origin is tuple:
        each = _type(arguments[0]).removeprefix("a ")
        return f"a list of {each}s" if arguments[-1] is Ellipsis else f"a list of {len(arguments)} {each}s"
    inner = _spec_in(annotation)
    if inner is not None:
        group = getattr(inner, "group", None)
        title = _GROUPS[group][1] if group else ""
        return (
            f"a kind of [{title.lower()}](#{title.lower().replace(' ', '-')})"
            if group
            else "a section of keys"
        )
    return _WORDS[annotation]


def _unit(annotation: Any, metadata: Any = ()) -> str:
    for mark in metadata:
        if isinstance(mark, Unit):
            return mark.name
    if get_origin(annotation) is Annotated:
        return _unit(get_args(annotation)[0], get_args(annotation)[1:])
    return next((unit for one in get_args(annotation) if (unit := _unit(one))), "")


def _allowed(field: FieldInfo) -> str:
    signs = {
        annotated_types.Ge: ("ge", "at least"),
        annotated_types.Gt: ("gt", "above"),
        annotated_types.Le: ("le", "at most"),
        annotated_types.Lt: ("lt", "below"),
    }
    return " and ".join(
        f"{word} {_number(getattr(mark, name))}"
        for mark in field.metadata
        for sign, (name, word) in signs.items()
        if isinstance(mark, sign)
    )


def _number(value: float) -> str:
    return f"{value:,}" if value < 2**40 else f"2^{value.bit_length() - 1}"  # type: ignore[attr-defined]


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "no default of its own" if "Unset:" in (field.description or "") else "must be given"
    if field.default is None:
        return "default: unset"
    if isinstance(field.default, Spec):
        return "default: the defaults of its keys"
    return f"default: `{to_toml({'x': field.default}).strip().removeprefix('x = ')}`"


def _of_paper(key: str, papers: dict[str, dict[str, str]], kind: str) -> str:
    if key == "model.depth":
        cifar, imagenet = _DEPTHS[kind]
        return f"`{_listed(cifar)}` for CIFAR (section 4.2), `{_listed(imagenet)}` for ImageNet (Table 1)"
    only = _KIND_OF_STUDY.get(kind)
    found = {
        study: known.get(key, known.get(f"{key}.kind", ""))
        for study, known in papers.items()
        if not known.keys().isdisjoint((key, f"{key}.kind"))
        and kind not in _NO_STUDY
        and (only is None or study == only)
    }
    if not found:
        return "not stated"
    if len({*found.values()}) == 1 and len(found) == len(_STUDIES):
        (value,) = {*found.values()}
        places = sorted(_place(key, study).removeprefix("section ") for study in found)
        return f"{value} (sections {' and '.join(places)})"
    return ", ".join(f"{value} for {study} ({_place(key, study)})" for study, value in found.items())


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _place(key: str, study: str) -> str:
    places = _PLACES[study]
    return places[max((start for start in places if key.startswith(start)), key=len)]


def _paper_of(study: str) -> dict[str, str]:
    """Key to what the paper says of it in this study."""
    (shallow, below), (deep, above) = (
        (depth, _stated(preset)) for depth, preset in sorted(_STUDIES[study].items())
    )
    known = below | above
    for key in below.keys() & above.keys() - {"model"}:
        if below[key] != above[key]:
            known[key] = f"{below[key]} up to {shallow} layers and {above[key]} from {deep} layers on"
    known.setdefault("schedule.kind", f"`{load_spec(_STUDIES[study][deep]).schedule.kind}`")
    for key, names in _FACTS.items():
        if study in names:
            value = getattr(paper, names[study])
            known[key] = f"`{value[1] if key == 'data.dataset.val_size' else value}`"
    return known


def _stated(preset: str) -> dict[str, str]:
    """What the ledger of a preset knows to be the paper's: key to value."""
    rows = ledger(load_spec(preset))
    said = {"True": "true", "False": "false"}
    return {row.field: f"`{said.get(row.paper, row.paper)}`" for row in rows if row.verdict != "not stated"}
