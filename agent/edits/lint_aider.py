"""aider's linter without its flake8 process, and without paths of this machine in what the model reads."""

from __future__ import annotations

from aider.linter import Linter, LintResult, basic_lint, lint_python_compile

from ai_sci.agent.edits.base import without_warnings
from ai_sci.agent.edits.lint_flake8 import COMMAND, compiles, fatal_errors


class InProcessLinter(Linter):
    """Its reports are aider's, word for word, but for the command line of flake8 and the name of the file."""

    def py_lint(self, fname: str, rel_fname: str, code: str) -> LintResult | None:
        """tree-sitter only helps to mark lines that do not compile: on its own it refuses code that runs."""
        compiled = compiles(code, rel_fname)
        results = [] if compiled else [basic_lint(rel_fname, code), compile_lint(fname, rel_fname, code)]
        results.append(self.flake8_text(rel_fname, code))
        found = [result for result in results if result]
        if not found:
            return None
        lines = sorted({line for result in found for line in result.lines})
        return LintResult("\n".join(result.text for result in found if result.text), lines)

    def flake8_text(self, rel_fname: str, code: str) -> LintResult | None:
        errors = fatal_errors(code, rel_fname)
        if not errors:
            return None
        return self.errors_to_lint_result(rel_fname, f"## Running: {COMMAND} {rel_fname}\n\n{errors}")


def compile_lint(path: str, name: str, code: str) -> LintResult:
    """What Python says of code that does not compile. It reads some of the lines that it shows from `path`."""
    with without_warnings():
        try:
            result = lint_python_compile(path, code)
        except (TypeError, AttributeError):  # aider expects a line number in every error; some have none
            result = None
    if not result:
        return LintResult(text="Python cannot compile this file.\n", lines=[])
    return LintResult(text=result.text.replace(f'File "{path}"', f'File "{name}"'), lines=result.lines)
