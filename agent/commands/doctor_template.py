"""What a run would say of a template: what it copies, its ideas, its baseline and its environment."""

from __future__ import annotations

from collections.abc import Iterator

from ai_sci.agent.commands.finding import Finding
from ai_sci.experiment.attempt import checked_baseline
from ai_sci.experiment.base import AiSciError, Verdict
from ai_sci.experiment.environment import Environment, ensure_environment, is_ready, requirement_mistakes
from ai_sci.experiment.template import Template, load_template, template_ideas, template_names

_SHOWN = 6  # ideas or metrics


def examine_template(name: str) -> Iterator[Finding]:
    """All findings about the template of that name or in that folder. Raises nothing."""
    try:
        template = load_template(name)
    except AiSciError as error:
        yield Finding("fix", f"template: {error}")
        return
    yield Finding("ok", f"template {template.name} (bundled: {', '.join(template_names())})")
    for part in (_copy, _ideas, _baseline, _environment):
        try:
            yield from part(template)
        except AiSciError as error:
            yield Finding("fix", f"template {template.name}: {error}")


def _copy(template: Template) -> Iterator[Finding]:
    for note in template.start_notes():
        yield Finding("note", note)
    yield Finding("ok", f"files that a session copies: {_listed([str(path) for path in template.files()])}")


def _ideas(template: Template) -> Iterator[Finding]:
    ideas = template_ideas(template)
    for note in dict.fromkeys(note for idea in ideas for note in idea.notes):
        yield Finding("note", note)
    if ideas:
        yield Finding("ok", f"ideas: {_listed([idea.name for idea in ideas])}")
    else:
        yield Finding("note", "ideas: the template has none: name one with --ideas FILE.json --idea NAME")


def _baseline(template: Template) -> Iterator[Finding]:
    if not template.brings_baseline:
        yield Finding("ok", "baseline: a run measures it with the unmodified experiment, once, before it calls a model")
        return
    found = checked_baseline(template, template.folder / "run_0", "template")
    if found.verdict is not Verdict.ok:
        yield Finding("fix", f"baseline: {'; '.join(found.reasons)}. A run would end as invalid_baseline")
        return
    shown = [f"{name} {value:.4g}" for name, value in found.metrics.items()]
    yield Finding("ok", f"baseline: run_0/final_info.json, as the template brings it: {_listed(shown)}")
    if template.metric and template.metric not in found.metrics:
        names = _listed(list(found.metrics))
        yield Finding(
            "note", f'baseline: it has no "{template.metric}", the metric that runs are compared by, only {names}'
        )


def _environment(template: Template) -> Iterator[Finding]:
    files = [*template.requirements, *template.requirements_no_deps]
    if not files:
        python: Environment = ensure_environment(template, None, lambda text: None)
        yield Finding("ok", f"experiment environment: no requirement file, so {python.python}, or what --python names")
        return
    mistakes = [mistake for path in files for mistake in requirement_mistakes(path)]
    for mistake in mistakes:
        yield Finding("fix", f"requirements: {mistake}")
    if mistakes:
        return
    names = ", ".join(str(path.relative_to(template.folder)) for path in files)
    if is_ready(template):
        yield Finding("ok", f"experiment environment of {template.name} is built ({names})")
    else:
        yield Finding(
            "note", f"experiment environment of {template.name} is not built yet: the first run builds it ({names})"
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
