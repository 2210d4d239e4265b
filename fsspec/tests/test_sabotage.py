"""What the sabotage takes out is there, so that a change of it is noticed before the next whole run."""

import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
if not (TOP / "ci" / "sabotage").is_file():
    pytest.skip("the programs of a source tree are not there", allow_module_level=True)


def test_each_edit_finds_its_text_once(monkeypatch):
    monkeypatch.syspath_prepend(str(TOP / "ci"))
    from sabotage_lib.__main__ import IMPATIENCE
    from sabotage_lib.guards import GUARDS

    try:
        edits = [IMPATIENCE, *(edit for guard in GUARDS for edit in guard.edits)]
        found = {f"{edit.file}: {edit.old}": (TOP / edit.file).read_text().count(edit.old) for edit in edits}
        assert {text: count for text, count in found.items() if count != 1} == {}
    finally:
        for name in [name for name in sys.modules if name.startswith("sabotage_lib")]:
            del sys.modules[name]
