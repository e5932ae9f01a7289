"""Templates: what a folder means, and that every mistake is named with its file and line."""

from __future__ import annotations

import ast
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.base.limits import Limits
from ai_sci.experiment.template.checks import Check
from ai_sci.experiment.template.settings import parse_setting
from ai_sci.experiment.template.template import Smoke, bundled_templates, load_template, template_names
from tests.experiment.template.folders import make_template

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def refused(folder: Path, overrides=None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_template(str(folder), overrides or {})
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What a folder means


def test_the_bundled_tiny_template():
    tiny = load_template("tiny")
    assert tiny.folder == bundled_templates() / "tiny"
    assert tiny.editable == ("experiment.py", "plot.py", "notes.txt")
    assert (tiny.metric, tiny.higher_is_better) == ("test_r2", True)
    assert tiny.requirements == (tiny.folder / "requirements.txt",)
    assert tiny.smoke == Smoke(30.0)
    assert tiny.limits.time == 120 and tiny.limits.memory == 2 * 1024**3
    assert Check("output_std", ">", 0.05) in tiny.checks
    assert tiny.settings["steps"] == 1500
    assert not tiny.brings_baseline
    assert "three waves" in tiny.task_description and tiny.system


def test_tiny_run_by_hand_uses_the_same_settings():
    tiny = load_template("tiny")
    module = ast.parse((tiny.folder / "experiment.py").read_text())
    values = [node.value for node in module.body if isinstance(node, ast.Assign) and _name(node) == "SETTINGS"]
    assert ast.literal_eval(values[0]) == tiny.settings


def _name(node: ast.Assign) -> str:
    return node.targets[0].id if isinstance(node.targets[0], ast.Name) else ""


def test_a_folder_with_nothing_of_ours_in_it(tmp_path):
    folder = make_template(tmp_path / "grokking", plot_py="", prompt_json='{"system": "s", "task_description": "t"}')
    template = load_template(str(folder))
    assert template.name == "grokking"
    assert template.editable == ("experiment.py", "plot.py", "notes.txt")
    assert (template.metric, template.smoke, template.prepare, template.checks) == (None, None, None, ())
    assert (template.requirements, template.requirements_no_deps, template.settings) == ((), (), {})
    assert template.limits == Limits() == Limits(7200.0, None, 20 * 1024**3, 200_000, 512)
    assert (template.max_runs, template.max_failures) == (5, 4)
    assert (template.system, template.task_description) == ("s", "t")
    assert not template.brings_baseline


def test_a_baseline_that_the_template_brings_is_taken_unless_it_says_otherwise(tmp_path):
    folder = make_template(tmp_path / "t", run_0__final_info_json="{}")
    assert load_template(str(folder)).brings_baseline
    (folder / "template.toml").write_text('[experiment]\nbaseline = "measure"\n')
    assert not load_template(str(folder)).brings_baseline


def test_requirements_txt_is_used_without_being_named_and_can_be_switched_off(tmp_path):
    folder = make_template(tmp_path / "t", requirements_txt="numpy\n")
    assert load_template(str(folder)).requirements == (folder / "requirements.txt",)
    (folder / "template.toml").write_text("[environment]\nrequirements = []\n")
    assert load_template(str(folder)).requirements == ()


def test_everything_in_template_toml(tmp_path):
    toml = """
[experiment]
editable = ["experiment.py", "lib/model.py"]
metric = "loss"
direction = "lower"
max_runs = 9
max_failures = 2
[environment]
requirements = ["a.txt"]
requirements_no_deps = ["b.txt"]
[prepare]
command = ["python", "prepare.py"]
time = "1h"
settings = ["layer"]
[limits]
time = 90
memory = "8G"
disk = "512M"
inodes = 1000
processes = 9
[smoke]
[checks]
rules = ["l0 > 0", "gemma/l0 <= 64"]
[grade]
command = ["python", "grade.py"]
[settings]
layer = 12
"""
    folder = make_template(tmp_path / "t", toml, a_txt="", b_txt="", prepare_py="", helper_py="", lib__model_py="")
    template = load_template(str(folder))
    assert template.editable == ("experiment.py", "lib/model.py")
    assert (template.metric, template.higher_is_better) == ("loss", False)
    assert (template.max_runs, template.max_failures) == (9, 2)
    assert template.requirements == (folder / "a.txt",)
    assert template.requirements_no_deps == (folder / "b.txt",)
    assert template.prepare is not None
    assert (template.prepare.command, template.prepare.timeout) == (("python", "prepare.py"), 3600)
    assert (template.prepare.files, template.prepare.settings) == (("helper.py", "prepare.py"), ("layer",))
    assert template.limits == Limits(90, 8 * 1024**3, 512 * 1024**2, 1000, 9)
    assert template.smoke == Smoke(60)
    assert [str(check) for check in template.checks] == ["l0 > 0", "gemma/l0 <= 64"]
    assert template.grade == {"command": ["python", "grade.py"]}


def test_what_a_session_gets_a_copy_of(tmp_path):
    folder = make_template(
        tmp_path / "t",
        "",
        plot_py="",
        ideas_json="[]",
        seed_ideas_json="[]",
        prompt_json="{}",
        run_0__final_info_json="{}",
        run_12__final_info_json="{}",
        run_helper_py="",
        scripted__idea__01_md="",
        lib__model_py="",
        lib__ideas_json="",
        lib____pycache____x_pyc="",
        latex__template_tex="",
        settings_json="{}",
        README_md="",
        lib__README_md="",
    )
    for hidden in (".git/config", ".env", "lib/.secret"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_text("key")
    (folder / "dangling").symlink_to("nowhere")
    expected = "experiment.py lib/README.md lib/ideas.json lib/model.py plot.py prompt.json run_helper.py template.toml"
    assert " ".join(map(str, load_template(str(folder)).files())) == expected


def test_byte_order_mark_and_windows_line_ends(tmp_path):
    folder = make_template(tmp_path / "t")
    (folder / "template.toml").write_bytes(b'\xef\xbb\xbf[experiment]\r\nmetric = "loss"\r\n')
    assert load_template(str(folder)).metric == "loss"
    (folder / "template.toml").write_bytes(b"\xef\xbb\xbf[experiment]\r\n\r\nmetric = 3\r\n")
    assert "template.toml:3: metric must be" in refused(folder)


# Mistakes


def test_unknown_names_show_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match='there is no template "tinny"; did you mean "tiny"'):
        load_template("tinny")
    with pytest.raises(ConfigError, match='there is no template ""'):
        load_template("")
    make_template(tmp_path / "my_template")
    with pytest.raises(ConfigError, match='did you mean "my_template"'):
        load_template("my_templat")
    assert load_template("my_template").folder == tmp_path / "my_template"


def test_a_folder_that_is_no_template(tmp_path):
    assert "has no experiment.py: a template is" in refused(tmp_path)
    make_template(tmp_path / "inner")
    assert f"did you mean {tmp_path / 'inner'}?" in refused(tmp_path)
    assert "is a file" in refused(tmp_path / "inner" / "experiment.py")


@pytest.mark.parametrize(
    "toml, line, words",
    [
        ("[experiment]\nmetric = 'a\n", 2, "not valid TOML"),
        ("[limits]\ntime = 1\n[limits]\n", 3, "not valid TOML"),
        ("a = [1,\n2,\n", 2, "not valid TOML"),
        ("[experiment]\n\nmetrics = 'loss'\n", 3, 'unknown key "metrics" in [experiment]; did you mean "metric"?'),
        ("[experiments]\n", 1, 'unknown table "experiments" at the top; did you mean "experiment"?'),
        ("metric = 'loss'\n", 1, 'unknown key "metric" at the top; there are: checks, environment'),
        ("# x\nlimits = 3\n", 2, '"limits" must be a table'),
        ("[experiment]\nmax_runs = '5'\n", 2, "max_runs must be a whole number, not '5'"),
        ("[experiment]\nmax_runs = true\n", 2, "max_runs must be a whole number, not true"),
        ("[experiment]\nmax_runs = 0\n", 2, "must be at least 1"),
        ("[experiment]\ndirection = 'up'\n", 2, 'direction = \'up\' must be "higher" or "lower"'),
        ("[experiment]\nbaseline = 'template'\n", 2, "there is no run_0/final_info.json"),
        ("[experiment]\neditable = 'experiment.py'\n", 2, "editable must be a list of strings"),
        ("[experiment]\neditable = [\n  'a.py',\n  3,\n]\n", 2, "3 is not one"),
        ("[experiment]\neditable = []\n", 2, "at least one file"),
        ("[experiment]\neditable = ['../x.py']\n", 2, '"../x.py" cannot be editable'),
        ("[experiment]\neditable = ['/etc/passwd']\n", 2, "cannot be editable"),
        ("[experiment]\neditable = ['plot.py', 'template.toml']\n", 2, "template.toml cannot be editable"),
        ("[experiment]\neditable = ['run_0/final_info.json']\n", 2, '"run_0/final_info.json" cannot be editable'),
        ("[experiment]\neditable = ['run_0']\n", 2, '"run_0" cannot be editable'),
        ("[experiment]\neditable = ['settings.json']\n", 2, '"settings.json" cannot be editable'),
        ("[environment]\nrequirements = ['no.txt']\n", 2, 'there is no requirement file "no.txt"'),
        ("[limits]\ntime = '2 hours'\n", 2, "time: '2 hours' is not a duration"),
        ("[limits]\ndisk = '1G'\nmemory = '8X'\n", 3, "memory: '8X' is not a size"),
        ("limits.memory = '8X'\n", 1, "is not a size"),
        ("x = 1\nlimits = {time = 5, memory = '8X'}\n", 2, "is not a size"),
        ("[smoke]\ntime = 0\n", 2, "is not a duration"),
        ("[checks]\nrules = ['l0 > 0', 'l0 is fine']\n", 2, "l0 is fine"),
        ("[prepare]\ntime = 5\n", 1, "needs a command"),
        ("[prepare]\ncommand = ['python']\nfiles = ['*.nothing']\n", 3, "no file in"),
        ("[prepare]\ncommand = ['python']\nsettings = ['layr']\n[settings]\nlayer = 1\n", 3, 'did you mean "layer"?'),
        ("[settings]\nlayers = [1, 2]\n", 2, "layers must be a string, a number, true or false"),
        ("[settings]\nlr = nan\n", 2, "lr must be a finite number"),
        ("[settings]\nlr = 1e-3\n[presets.big]\nlearning = 1\n", 4, 'preset "big" sets "learning", which is not in'),
        ("[settings]\nn = 1\n[presets.big]\nn = '1'\n", 4, "is not of the type of its default, 1"),
        ("[settings]\nn = 1\n[presets.big]\nwhen = 'cpu'\n", 4, 'must be "gpu" or "no-gpu"'),
        ("[settings]\npreset = 'bg'\nn = 1\n[presets.big]\nn = 2\n", 2, 'no preset "bg"; did you mean "big"?'),
        ("[presets.auto]\n", 1, 'a preset cannot be named "auto"'),
    ],
)
def test_mistakes_in_template_toml_are_named_with_their_line(tmp_path, toml, line, words):
    message = refused(make_template(tmp_path / "t", toml))
    assert message.startswith(f"{tmp_path}/t/template.toml:{line}: ")
    assert words in message


def test_mistakes_in_prompt_json(tmp_path):
    assert "prompt.json:2: not valid JSON" in refused(make_template(tmp_path / "t", prompt_json='{\n"a" 1}'))
    assert '"system" must be a string' in refused(make_template(tmp_path / "t", prompt_json='{"system": 1}'))


def test_text_that_is_not_utf_8(tmp_path):
    folder = make_template(tmp_path / "t")
    (folder / "template.toml").write_bytes(b"# one\n# two \xff\n")
    assert refused(folder).endswith("template.toml:2: this is not UTF-8 text")


KEYS = {
    "experiment": ['metric = "m"', "max_runs = 3", 'editable = [\n  "experiment.py", # [not a table]\n]'],
    "limits": ["time = 60", 'memory = "1G"', "processes = 3"],
    "smoke": ["time = 5"],
    "settings": ["a = 1", 'b = """\n[limits]\nwrong = 1\n"""', "'quoted key' = 2.5"],
}


@given(st.data())
@in_one_folder
def test_a_wrong_key_is_found_wherever_it_stands(tmp_path, data):
    tables = data.draw(st.permutations(list(KEYS)))
    guilty = data.draw(st.sampled_from([name for name in tables if name != "settings"]))
    lines: list[str] = []
    line = 0
    for name in tables:
        lines += [""] * data.draw(st.integers(0, 2)) + [f"[{name}]  # comment"]
        keys = list(data.draw(st.permutations(KEYS[name])))
        if name == guilty:
            keys.insert(data.draw(st.integers(0, len(keys))), "wrong = 1")
        for key in keys:
            if key == "wrong = 1":
                line = "\n".join(lines).count("\n") + 2
            lines.append(key)
    message = refused(make_template(tmp_path / "t", "\n".join(lines) + "\n"))
    assert f'template.toml:{line}: unknown key "wrong" in [{guilty}]' in message


@given(st.text(st.sampled_from("[]{}=\"'#,.ab1 \n"), max_size=60) | st.text(max_size=60))
@in_one_folder
def test_no_text_makes_anything_else_than_a_config_error(tmp_path, text):
    folder = make_template(tmp_path / "t")
    data = text.encode("utf-8", errors="surrogatepass")
    (folder / "template.toml").write_bytes(data)
    try:
        load_template(str(folder))
    except ConfigError as error:
        place = str(error).removeprefix(f"{folder}/template.toml:").partition(": ")[0]
        assert 1 <= int(place) <= data.replace(b"\r\n", b"\n").count(b"\n") + 1


# Settings

SETTINGS = """
[settings]
layer = 12
lr = 3e-4
model = "small"
fast = true
[presets.big]
when = "gpu"
model = "large"
lr = 1
[presets.small]
when = "no-gpu"
layer = 3
[presets.hidden]
layer = 0
"""


@pytest.fixture
def with_settings(tmp_path):
    return make_template(tmp_path / "t", SETTINGS)


def loaded(folder, **overrides):
    return load_template(str(folder), overrides).settings


def test_presets_and_overrides(with_settings, monkeypatch):
    monkeypatch.setattr("ai_sci.experiment.template.settings.gpu_present", lambda: False)
    small = {"layer": 3, "lr": 3e-4, "model": "small", "fast": True, "preset": "small"}
    assert loaded(with_settings) == small
    assert loaded(with_settings, preset="auto") == small
    assert loaded(with_settings, preset="none") == {**small, "layer": 12, "preset": "none"}
    assert loaded(with_settings, preset="hidden")["layer"] == 0
    assert loaded(with_settings, preset="big")["model"] == "large"
    assert loaded(with_settings, preset="big", model="own", layer="1_000", fast="no", lr="2") == {
        "layer": 1000,
        "lr": 2.0,
        "model": "own",
        "fast": False,
        "preset": "big",
    }
    monkeypatch.setattr("ai_sci.experiment.template.settings.gpu_present", lambda: True)
    big = loaded(with_settings)
    assert big["model"] == "large" and big["preset"] == "big"
    assert isinstance(big["lr"], float)  # written as 1 in the preset, a float by its default


def test_a_gpu_that_is_hidden_does_not_count(with_settings, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert loaded(with_settings)["preset"] == "small"


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("layr", "3", 'has no setting "layr"; did you mean "layer"?'),
        ("layer", "three", "must be a number, such as 3"),
        ("layer", "1.5", "must be a whole number"),
        ("lr", "nan", "must be a number"),
        ("lr", "-inf", "must be a number"),
        ("fast", "maybe", "must be true or false"),
        ("preset", "bigg", 'there is no preset "bigg"; did you mean "big"?'),
    ],
)
def test_wrong_overrides(with_settings, monkeypatch, key, value, words):
    monkeypatch.setattr("ai_sci.experiment.template.settings.gpu_present", lambda: False)
    message = refused(with_settings, {key: value})
    assert message.startswith(f"--set {key}=") and words in message


def test_without_presets_there_is_no_pseudo_setting(tmp_path):
    folder = make_template(tmp_path / "t", "[settings]\nlayer = 1\n")
    assert loaded(folder) == {"layer": 1}
    assert 'no setting "preset"' in refused(folder, {"preset": "big"})


@given(st.booleans() | st.integers(-(2**62), 2**62) | st.floats(-1e15, 1e15) | st.text(), st.booleans())
def test_a_written_setting_reads_back_as_itself(value, other):
    default = {bool: other, int: 7, float: 0.5, str: "x"}[type(value)]
    back = parse_setting("key", str(value), default)
    assert back == value and type(back) is type(value)


@given(st.text(), st.sampled_from([True, 1, 0.5, "x"]))
@example("9" * 400, 0.5)
@example("1e400", 1)
@example("9" * 6000, 1)
def test_a_setting_has_the_type_of_its_default_or_is_refused(text, default):
    try:
        value = parse_setting("key", text, default)
    except ConfigError:
        return
    assert type(value) is type(default)
    assert isinstance(value, str) or math.isfinite(value)
    json.dumps(value, allow_nan=False)


# The cost of looking


def test_importing_is_cheap():
    code = "import sys, ai_sci.experiment.template; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "litellm", "pydantic", "asyncio"} & set(done.stdout.split())


def test_the_bundled_templates_all_load():
    assert "tiny" in template_names()
    for name in template_names():
        assert load_template(name).name == name


def test_a_key_is_no_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_Planted0123456789\n")
    folder = make_template(tmp_path, '[settings]\nhub = "none"\n')
    assert refused(folder, {"hub": "hf_Planted0123456789"}).startswith("--set hub=HF_TOKEN: settings are recorded")
