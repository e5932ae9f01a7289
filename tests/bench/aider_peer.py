"""The peer: the same replies driven through aider's `Coder`, the way AI-Scientist's experiment loop does it.

The driver's own words are as short as they can be (aider adds its instructions and the files), and results and errors
are the very texts that ai-sci sent, so the difference is what each keeps on the wire.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.tokens import Wire

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["AIDER_ANALYTICS"] = "false"


def drive(
    files: dict[str, str], prompts: Sequence[str], replies: Sequence[str], model: str = "deepseek/deepseek-reasoner"
) -> list[Wire]:
    """All requests that aider sends while it is given `prompts` in turn and the model answers `replies`."""
    from aider import models
    from aider.coders import Coder
    from aider.io import InputOutput

    # No prices from the network: they are not used here.
    models.model_info_manager._update_cache = lambda: None  # type: ignore[method-assign]
    sent: list[Wire] = []
    left = list(replies)

    def completion(self, messages, functions, stream, temperature=None):
        import litellm

        sent.append([{"role": m["role"], "content": str(m["content"])} for m in messages])
        text = left.pop(0) if left else "Done."
        return hashlib.sha1(), litellm.ModelResponse(
            choices=[{"message": {"role": "assistant", "content": text}, "finish_reason": "stop", "index": 0}]
        )

    def summarise(self, messages):
        # aider asks the model for a summary when the history grows; a short one favours it in later requests.
        sent.append([{"role": m["role"], "content": str(m["content"])} for m in messages])
        return "The runs so far were planned, edited, executed and discussed."

    models.Model.send_completion = completion  # type: ignore[method-assign]
    models.Model.simple_send_with_retries = summarise  # type: ignore[method-assign]
    with (
        tempfile.TemporaryDirectory() as folder,
        _chdir(folder),
    ):
        subprocess.run(["git", "init", "-q"], check=True)
        for name, text in files.items():
            Path(name).write_text(text)
        io_quiet = InputOutput(
            yes=True, pretty=False, fancy_input=False, chat_history_file=None, input_history_file=None
        )
        with contextlib.redirect_stdout(io.StringIO()):
            coder = Coder.create(
                main_model=models.Model(model),
                fnames=sorted(files),
                io=io_quiet,
                stream=False,
                use_git=False,
                edit_format="diff",
                auto_lint=False,  # what the linter says is among the prompts
                map_tokens=0,
            )
            for prompt in prompts:
                coder.run(with_message=prompt)
    return sent


@contextlib.contextmanager
def _chdir(folder: str):
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
