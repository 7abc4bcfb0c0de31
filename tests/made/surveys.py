"""What is found in a folder of photographs, for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.folders.survey import Survey
from rescli.errors import DataError


def survey_of(root: Path, **keys: object) -> Survey:
    found = ImageFolderSpec.model_validate({"kind": "imagefolder", **keys}).survey(root)
    assert found is not None
    return found


def refused(root: Path, **keys: object) -> str:
    with pytest.raises(DataError) as caught:
        survey_of(root, **keys).require_trainable()
    return str(caught.value)
