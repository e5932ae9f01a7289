"""Results: the formats that are read, and everything else that an experiment can leave in their place."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_sci.experiment.base.verdict import Verdict
from ai_sci.experiment.results.results import MAX_BYTES, ResultError, parse_results, read_results


def refusal(data: bytes | str) -> str:
    with pytest.raises(ResultError) as caught:
        parse_results(data.encode() if isinstance(data, str) else data)
    assert caught.value.verdict is Verdict.bad_result
    assert "\n" not in caught.value.reason
    return caught.value.reason


def write(folder: Path, value: object) -> Path:
    (folder / "final_info.json").write_text(json.dumps(value))
    return folder


# --- the formats ------------------------------------------------------------------------------------------------------


def test_one_ai_scientist_dataset_gives_plain_names(tmp_path: Path) -> None:
    info = {
        "shakespeare_char": {
            "means": {"loss_mean": 1.47, "steps_mean": 5000},
            "stderrs": {"loss_stderr": 0.01, "steps_stderr": math.nan, "other_stderr": 1.0},
            "final_info_dict": {"loss": [1.46, 1.48], "note": "two seeds"},
        }
    }
    results = read_results(write(tmp_path, info))
    assert results.metrics == {"loss_mean": 1.47, "steps_mean": 5000.0}
    assert results.stderrs == {"loss_mean": 0.01}
    assert results.raw["shakespeare_char"]["final_info_dict"]["note"] == "two seeds"
    json.dumps(results.raw, allow_nan=False)


def test_several_datasets_give_a_path(tmp_path: Path) -> None:
    info = {
        "circle": {"means": {"kl": 0.3}, "stderrs": {"kl": 0.1}},
        "moons": {"means": {"kl": 0.2}},
        "final_info_dict": {"kl": [1, 2]},
        "seconds": 12,
    }
    results = read_results(write(tmp_path, info))
    assert results.metrics == {"circle/kl": 0.3, "moons/kl": 0.2}
    assert results.stderrs == {"circle/kl": 0.1}


def test_means_that_are_a_number_are_one_metric_of_that_dataset() -> None:
    one = parse_results(b'{"val_loss": {"means": 1.5, "stderrs": 0.1, "final_info_dict": [1.4, 1.6]}}')
    assert (one.metrics, one.stderrs) == ({"val_loss": 1.5}, {"val_loss": 0.1})
    info = {
        "loss": {"means": 2, "stderrs": {"loss_stderr": 0.5, "loss": 0.25}},
        "acc": {"means": 0.5, "stderrs": [0.1]},
        "moons": {"means": {"kl": 0.2}, "stderrs": {"kl": 0.01}},
    }
    several = parse_results(json.dumps(info).encode())
    assert several.metrics == {"loss": 2.0, "acc": 0.5, "moons/kl": 0.2}
    assert several.stderrs == {"loss": 0.25, "moons/kl": 0.01}


def test_one_dataset_without_its_name() -> None:
    found = parse_results(
        b'{"means": {"peak": 3, "day": 7}, "stderrs": {"peak": 0.5}, "solution": [[1, 2]], "total": 9}'
    )
    assert (found.metrics, found.stderrs) == ({"peak": 3.0, "day": 7.0}, {"peak": 0.5})
    assert parse_results(b'{"means": {"means": {"peak": 3}}}').metrics == {"peak": 3.0}
    assert parse_results(b'{"means": 3, "peak": 4}').metrics == {"means": 3.0, "peak": 4.0}


def test_true_and_false_are_passed_over_like_text() -> None:
    assert parse_results(b'{"converged": true, "l0": 3, "note": "x"}').metrics == {"l0": 3.0}
    assert parse_results(b'{"d": {"means": {"ok": false, "l0": 3}}}').metrics == {"l0": 3.0}
    bench = {"eval_result_metrics": {"a": {"ok": True, "l0": 1}}, "unlearned": False}
    assert parse_results(json.dumps(bench).encode()).metrics == {"l0": 1.0}


def test_flat(tmp_path: Path) -> None:
    results = read_results(write(tmp_path, {"l0": 3, "mse": 0.5, "model": "gemma", "curve": [1, 2], "none": None}))
    assert results.metrics == {"l0": 3.0, "mse": 0.5}
    assert results.raw["curve"] == [1, 2]


def test_the_result_json_of_sae_bench() -> None:
    info = {
        "eval_type_id": "core",
        "eval_config": {"batch_size_prompts": 16, "verbose": False},
        "datetime_epoch_millis": 1736553167253,
        "eval_result_metrics": {
            "model_behavior_preservation": {"kl_div_score": 0.98, "llm_top_100_test_accuracy": None},
            "sparsity": {"l0": 32.0, "l1": 180.5},
        },
        "eval_result_details": [{"index": 0, "feature_density": math.inf}],
        "training_steps": 300,
        "final_loss": None,
    }
    results = parse_results(json.dumps(info).encode())
    assert results.metrics == {"kl_div_score": 0.98, "l0": 32.0, "l1": 180.5, "training_steps": 300.0}
    assert results.raw["eval_result_details"] == [{"index": 0, "feature_density": None}]


def test_leaves_that_share_a_name_keep_their_path() -> None:
    metrics = {"a": {"accuracy": 0.5, "only": 1}, "b": {"accuracy": 0.6}}
    results = parse_results(json.dumps({"eval_result_metrics": metrics}).encode())
    assert results.metrics == {"a/accuracy": 0.5, "only": 1.0, "b/accuracy": 0.6}


def test_a_byte_order_mark_is_no_harm() -> None:
    assert parse_results(b'\xef\xbb\xbf{"l0": 1}').metrics == {"l0": 1.0}


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ('{"l0": 1', "not valid JSON"),
        ('{"d": {"means": {"l0": NaN}}}', "holds NaN as 'l0'"),
        ('{"l0": Infinity}', "holds Infinity as 'l0'"),
        ('{"l0": -Infinity}', "holds -Infinity as 'l0'"),
        ('{"l0": 1e999}', "holds Infinity as 'l0'"),
        ('{"l0": 1' + "0" * 400 + "}", "beyond 1.8e308"),
        ('{"l0": 1' + "0" * 5000 + "}", "too many digits"),
        ('{"eval_result_metrics": {"sparsity": {"l0": Infinity}}}', "holds Infinity as 'l0'"),
        ('{"converged": true}', "holds no number"),
        ('{"d": {"means": {"ok": false}}}', "holds no number"),
        ('{"d": {"means": true}}', "holds true or false as \"means\" of 'd'; it has to be an object or a number"),
        ('{"d": {"means": NaN}}', "holds NaN as 'd'"),
        ('{"d": {"means": 1}, "e": {"means": Infinity}}', "holds Infinity as 'e'"),
        ("[1, 2]", "holds a list at the top"),
        ("3.5", "holds a number at the top"),
        ("null", "holds null at the top"),
        ('"done"', "holds text at the top"),
        ("{}", "holds no number"),
        ('{"d": {"l0": 1}}', "holds no number"),
        ('{"d": {"means": {}}}', "holds no number"),
        ('{"d": {"means": [1]}}', "holds a list as \"means\" of 'd'"),
        ('{"loss": "0.3"}', "holds no number"),
        ("[" * 100_000, "nests its values too deeply"),
        ('{"a":' * 50_000, "nests its values too deeply"),
        ('{"x\\nVerdict: ok": 1}', "named 'x\\nVerdict: ok'"),
        ('{"\\ud800": 1}', "named '\\ud800'"),
        ('{"' + "x" * 500 + '": 1}', "printable characters"),
        ('{" ": 1}', "printable characters"),
        ('{"a\\u001b[31m": {"means": {"l0": 1}}, "b": {"means": {"l0": 1}}}', "printable characters"),
        (json.dumps({f"m{i}": i for i in range(3000)}), "holds 3000 metrics"),
    ],
)
def test_bad_content_is_named(text: str, said: str) -> None:
    assert said in refusal(text)


def test_bytes_that_are_no_text() -> None:
    assert "UTF-8" in refusal(b'{"l0": "\xff\xfe"}')
    assert "UTF-8" in refusal('{"l0": 1}'.encode("utf-16"))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["means", "stderrs", "eval_result_metrics"]) | st.text(max_size=8), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@settings(max_examples=400)
@given(JSON_VALUES)
def test_any_json_gives_finite_numbers_or_a_reason(value: object) -> None:
    try:
        results = parse_results(json.dumps(value).encode())
    except ResultError as refused:
        assert refused.verdict is Verdict.bad_result and refused.reason and "\n" not in refused.reason
        refused.reason.encode()
        return
    assert results.metrics and all(math.isfinite(number) for number in results.metrics.values())
    assert set(results.stderrs) <= set(results.metrics)
    json.dumps(results.raw, allow_nan=False, ensure_ascii=False).encode()


@settings(max_examples=400)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_result_or_a_reason(data: bytes) -> None:
    try:
        parse_results(data)
    except ResultError:
        pass


@given(st.integers(0, 120))
def test_every_truncation_is_refused(length: int) -> None:
    whole = json.dumps({"data": {"means": {"loss": 0.25, "accuracy": 0.75}, "stderrs": {"loss": 0.1, "accuracy": 0.2}}})
    if length < len(whole):
        refusal(whole[:length])


# --- what can lie there instead of a file -----------------------------------------------------------------------------


def error_of(folder: Path) -> ResultError:
    before = time.monotonic()
    with pytest.raises(ResultError) as caught:
        read_results(folder)
    assert time.monotonic() - before < 30
    return caught.value


def test_nothing_there(tmp_path: Path) -> None:
    empty = tmp_path / "run_1"
    empty.mkdir()
    assert error_of(empty).verdict is Verdict.no_result
    assert error_of(empty).reason == "the experiment ended without writing final_info.json into run_1 (it is empty)"
    (empty / "model.pt").touch()
    assert "it holds only model.pt" in error_of(empty).reason
    assert error_of(tmp_path / "gone").verdict is Verdict.no_result


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    secret = write(tmp_path, {"l0": 1}) / "final_info.json"
    out = tmp_path / "run_1"
    out.mkdir()
    (out / "final_info.json").symlink_to(secret)
    error = error_of(out)
    assert (error.verdict, "symbolic link" in error.reason) == (Verdict.bad_result, True)
    swapped = tmp_path / "run_2"
    swapped.symlink_to(tmp_path)
    assert error_of(swapped).verdict is Verdict.no_result


def test_a_hard_link_is_not_read(tmp_path: Path) -> None:
    baseline = write(tmp_path, {"l0": 1}) / "final_info.json"
    out = tmp_path / "run_1"
    out.mkdir()
    os.link(baseline, out / "final_info.json")
    assert "hard link" in error_of(out).reason


def test_a_folder_a_pipe_and_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"a folder": Path.mkdir, "a pipe": os.mkfifo}
    for kind, make in kinds.items():
        out = tmp_path / kind.replace(" ", "_")
        out.mkdir()
        make(out / "final_info.json")
        assert (error_of(out).verdict, kind in error_of(out).reason) == (Verdict.bad_result, True)
    out = tmp_path / "s"
    out.mkdir()
    monkeypatch.chdir(out)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("final_info.json")
        assert "a socket" in error_of(out).reason


def test_a_hundred_megabytes_are_not_even_opened_for_long(tmp_path: Path) -> None:
    with open(tmp_path / "final_info.json", "wb") as file:
        file.truncate(100_000_000)
    error = error_of(tmp_path)
    assert (error.verdict, "100.0 MB" in error.reason) == (Verdict.bad_result, True)


def test_the_largest_file_that_is_read(tmp_path: Path) -> None:
    text = json.dumps({"l0": 1, "log": ""})
    padded = text.replace('""', '"' + "x" * (MAX_BYTES - len(text)) + '"')
    (tmp_path / "final_info.json").write_text(padded)
    assert read_results(tmp_path).metrics == {"l0": 1.0}
