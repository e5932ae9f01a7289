"""Ideas: AI-Scientist's files are read as they are, and mistakes are named with their line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.template.ideas import find_idea, load_ideas, template_ideas
from ai_sci.experiment.template.template import load_template, template_names
from tests.experiment.template.folders import make_template

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

ONE = {"Name": "adaptive_lr", "Title": "Adaptive", "Experiment": "Change the rate.", "Novelty": 4, "novel": True}
TWO = {"Name": "dual_path", "Title": "Dual", "Experiment": "Two paths."}

texts = st.text(st.characters(exclude_categories=("Cs",)))
words = texts.filter(lambda text: text.strip() and min(map(ord, text)) >= 32)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["Name", "Title", "Experiment"]) | st.text(), inner)
    ),
    max_leaves=12,
)


def write(path: Path, value: object, indent: int | None = 2) -> Path:
    path.write_text(json.dumps(value, indent=indent))
    return path


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_ideas(path)
    return str(caught.value)


def test_the_ideas_of_all_bundled_templates_load():
    for name in template_names():
        assert load_ideas(load_template(name).folder / "ideas.json")


def test_other_keys_are_kept(tmp_path):
    first, second = load_ideas(write(tmp_path / "ideas.json", [ONE, TWO]))
    assert (first.name, first.title, first.experiment, first.raw) == (
        "adaptive_lr",
        "Adaptive",
        "Change the rate.",
        ONE,
    )
    assert second.raw == TWO


def test_a_file_with_one_idea_and_no_title(tmp_path):
    (idea,) = load_ideas(write(tmp_path / "idea.json", {"Name": "a/b c", "Experiment": "x"}))
    assert (idea.title, idea.slug) == ("a/b c", "a_b_c")


def test_ai_scientist_v2_calls_the_experiment_otherwise(tmp_path):
    (idea,) = load_ideas(write(tmp_path / "idea.json", [{"Name": "n", "Title": "t", "Experiments": ["one", "two"]}]))
    assert idea.experiment == "one\ntwo"


CASES = Path(__file__).parents[2] / "fixtures" / "ideas"


def test_names_that_are_used_twice(tmp_path):
    """4 of the 11 templates of AI-Scientist have some."""
    first, second = load_ideas(CASES / "duplicate_names.json")
    assert (first.name, second.name) == ("a", "b")
    (note,) = second.notes
    assert note == f'{CASES / "duplicate_names.json"}:7: the idea "a" is there already: it is read once'
    path = write(tmp_path / "ideas.json", [ONE, {**TWO, "Name": "adaptive_lr"}, {**ONE, "Name": "adaptive_lr_2"}], None)
    ideas = load_ideas(path)
    assert [idea.name for idea in ideas] == ["adaptive_lr", "adaptive_lr_3", "adaptive_lr_2"]
    assert [idea.title for idea in ideas] == ["Adaptive", "Dual", "Adaptive"]
    assert ideas[0].notes == (
        f'{path}:1: the name "adaptive_lr" is used already: this idea is called "adaptive_lr_3" here',
    )


@pytest.mark.parametrize(
    "experiments, text",
    [
        ([{"name": "A", "description": "try other rates"}], "name: A\ndescription: try other rates"),
        ({"A": "try rates", "B": ["one", "two"], "C": None}, "A: try rates\nB: one\ntwo"),
        ([" one ", "", {"Steps": [{"n": 3, "do": "x"}]}], "one\nSteps: n: 3\ndo: x"),
        ("Plain.", "Plain."),
    ],
)
@pytest.mark.parametrize("key", ["Experiment", "Experiments", "experiments"])
def test_an_experiment_in_parts_is_joined(tmp_path, experiments, text, key):
    (idea,) = load_ideas(write(tmp_path / "ideas.json", [{"Name": "n", key: experiments}]))
    assert idea.experiment == text


def test_an_idea_of_ai_scientist_v2(tmp_path):
    (idea,) = load_ideas(CASES / "experiments_as_objects.json")
    assert idea.experiment == "name: A\ndescription: try other rates"


@pytest.mark.parametrize("title", [{}, {"Title": ""}, {"Title": None}, {"Title": "  "}])
def test_without_a_title_the_name_is_the_title(tmp_path, title):
    (idea,) = load_ideas(write(tmp_path / "ideas.json", [{"Name": "b", "Experiment": "Try other rates.", **title}]))
    assert idea.title == "b"
    (idea,) = load_ideas(CASES / "no_title.json")
    assert (idea.title, idea.experiment) == ("b", "Try other rates.")


@pytest.mark.parametrize("key", ["ideas", "Ideas", "seed_ideas", "archive"])
def test_ideas_in_an_object(tmp_path, key):
    path = write(tmp_path / "ideas.json", {"version": 1, "names": ["x"], key: [ONE, TWO]})
    assert [idea.raw for idea in load_ideas(path)] == [ONE, TWO]


def test_ideas_and_seed_ideas_together(tmp_path):
    template = load_template(str(make_template(tmp_path / "t")))
    write(template.folder / "seed_ideas.json", {"ideas": [ONE, {**TWO, "Name": "seed"}]})
    write(template.folder / "ideas.json", [])
    assert [idea.name for idea in template_ideas(template)] == ["adaptive_lr", "seed"]
    write(template.folder / "ideas.json", [{**ONE, "Title": "Newer"}])
    assert [idea.title for idea in template_ideas(template)] == ["Newer", "Dual"]


def test_find_idea(tmp_path):
    folder = make_template(tmp_path / "t")
    template = load_template(str(folder))
    with pytest.raises(ConfigError, match="has no ideas.json with an idea: pass --ideas FILE"):
        find_idea(template, "adaptive_lr")
    write(folder / "seed_ideas.json", [ONE])
    assert find_idea(template, "adaptive_lr").raw == ONE
    write(folder / "ideas.json", [{**ONE, "Title": "Newer"}, TWO])
    assert find_idea(template, "adaptive_lr").title == "Newer"
    with pytest.raises(ConfigError, match='there is no idea "dualpath" in .*; did you mean "dual_path"'):
        find_idea(template, "dualpath")
    with pytest.raises(ConfigError, match="; there are: adaptive_lr, adaptive_lr, dual_path|; there are:"):
        find_idea(template, "zzz")


def test_find_idea_in_other_files(tmp_path):
    template = load_template(str(make_template(tmp_path / "t")))
    single = write(tmp_path / "one.json", ONE)
    several = write(tmp_path / "more.json", [ONE, TWO])
    assert find_idea(template, str(single)).name == "adaptive_lr"
    assert find_idea(template, "dual_path", several).name == "dual_path"
    with pytest.raises(ConfigError, match="holds 2 ideas: choose one with --ideas .*more.json --idea NAME"):
        find_idea(template, str(several))
    with pytest.raises(ConfigError, match="cannot read .*none.json: No such file"):
        find_idea(template, str(tmp_path / "none.json"))
    with pytest.raises(ConfigError, match="cannot read .*none.json: No such file"):
        find_idea(template, "dual_path", tmp_path / "none.json")


@pytest.mark.parametrize(
    "text, line, what",
    [
        ("", 1, "not valid JSON"),
        ('[\n  {"Name": "a",\n   "Title" "b"}\n]', 3, "not valid JSON"),
        ('[\n  {"Name": "a", "Title": "b",\n   "Experiment": "c"}\n', 4, "not valid JSON"),
        ("3", 1, "must hold ideas"),
        ("[]", 1, "holds no idea"),
        ('[\n\n  {"Name": "a", "Experiment": "c"},\n  "b"\n]', 4, "an idea must be an object"),
        ('[\n  {"Title": "a", "Experiment": "c"}]', 2, 'needs "Name"'),
        ('[\n  {"Name": "a", "Experiment": ""}]', 2, 'needs "Experiment"'),
        ('[\n  {"Name": "a", "Title": 3, "Experiment": "c"}]', 2, 'needs "Title"'),
        ('\n{"Name": "a\\nb", "Experiment": "c"}', 2, '"Name" must be one short line'),
        ('[{"Name": "a", "Experiment": "\\ud800"}]', 1, "lone surrogate"),
        ('{"ideas": []}', 1, "holds no idea"),
        ('{"version": 2,\n "Ideas": [\n{"Name": "a", "Experiment": "b"},\n\n{"Name": "c"}]}', 5, 'needs "Experiment"'),
        ('{"Title": "a",\n "Tags": ["b"]}', 1, 'needs "Name"'),
        ('[{"Name": "a", "Experiment": 3}]', 1, 'needs "Experiment"'),
        ('[{"Name": "a", "Experiments": [{"why": null}, []]}]', 1, 'needs "Experiment"'),
        ('[{"Name": "a", "Experiment": ' + "[" * 30 + '"b"' + "]" * 30 + "}]", 1, "nested too deeply"),
        ("[" * 100_000, 1, "nested too deeply"),
        ('[{"Name": "a", "Experiment": "c", "n": ' + "9" * 5000 + "x}]", 1, "not valid JSON"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, text, line, what):
    path = tmp_path / "ideas.json"
    path.write_text(text)
    message = refused(path)
    assert message.startswith(f"{path}:{line}: ") and what in message


@given(st.lists(st.fixed_dictionaries({"Name": words, "Title": words, "Experiment": words}), min_size=1, max_size=5))
@in_one_folder
def test_what_was_written_is_read(tmp_path, items):
    path = write(tmp_path / "ideas.json", items)
    names = [item["Name"].strip() for item in items]
    if any(len(item["Name"]) > 200 for item in items):
        return
    ideas = load_ideas(path)
    assert len({idea.name for idea in ideas}) == len(ideas) <= len(items)
    texts_of = {(item["Title"].strip(), item["Experiment"].strip()) for item in items}
    assert {(idea.title, idea.experiment) for idea in ideas} == texts_of, "nothing is lost"
    if len(set(names)) < len(names):
        return
    assert [idea.name for idea in ideas] == names
    assert [idea.raw for idea in ideas] == items
    for idea in ideas:
        assert idea.slug == Path(idea.slug).name and not idea.slug.startswith(".")


@given(json_values | st.lists(json_values), st.sampled_from([None, 0, 3]))
@in_one_folder
def test_any_json_is_read_or_refused_in_one_line(tmp_path, value, indent):
    try:
        ideas = load_ideas(write(tmp_path / "ideas.json", value, indent))
    except ConfigError as error:
        assert str(error).startswith(f"{tmp_path}/ideas.json:")
        assert "\n" not in str(error)
    else:
        assert all(idea.name and idea.title and idea.experiment for idea in ideas)


@given(st.integers(0, 4), st.integers(0, 3), json_values.filter(lambda value: not isinstance(value, dict)))
@in_one_folder
def test_the_line_of_a_wrong_idea_is_right(tmp_path, before, blank, wrong):
    path = tmp_path / "ideas.json"
    good = [json.dumps({"Name": f"idea {i}", "Experiment": "a\nb ] } ,"}, indent=1) for i in range(before)]
    start = "[" + "\n" * blank + "".join(item + ",\n" for item in good)
    path.write_text(start + json.dumps(wrong) + "]")
    assert refused(path).startswith(f"{path}:{start.count(chr(10)) + 1}: an idea must be an object")
