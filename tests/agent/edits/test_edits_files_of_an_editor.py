"""Whole files from an editor, as a journal may hold them."""

from __future__ import annotations

from typing import Any

import pytest

from ai_sci.agent.edits import EditRefused, plan_files


@pytest.mark.parametrize("value", [None, 7, b"x = 2\n"])
def test_a_value_that_is_not_text_is_refused(value: Any):
    with pytest.raises(EditRefused) as refused:
        plan_files({"a.py": value}, {"a.py": "x = 1\n"}, ["a.py"])
    assert refused.value.reasons == ["The new a.py is not text."]
