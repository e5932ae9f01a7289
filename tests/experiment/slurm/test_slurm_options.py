"""What a job asks the cluster for."""

from __future__ import annotations

import pytest

from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.base.limits import GIB, Limits
from ai_sci.experiment.slurm.commands import gpus_of, parameters_of, read_options
from ai_sci.experiment.slurm.engine import SLURM

LIMITS = Limits(time=600.0, memory=8 * GIB, gpus=2, cpus=4)


def test_limits_become_options_with_room_for_setting_up():
    asked = parameters_of(LIMITS, 600.0, {})
    assert asked == {"time": 15, "requeue": True, "nodes": 1, "gres": "gpu:2", "cpus_per_task": 4, "mem": "8704M"}


def test_a_template_without_gpus_or_limits_asks_for_none():
    assert parameters_of(Limits(gpus=0), 60.0, {}) == {"time": 6, "requeue": True, "nodes": 1}


@pytest.mark.parametrize(
    ("given", "gone", "gpus"),
    [
        ({"gres": "gpu:a100:4"}, "", 4),
        ({"gres": ""}, "gres", 0),
        ({"gpus_per_node": "1"}, "gres", 1),
        ({"gres": "gpu:2,shard:8"}, "", 2),
        ({"gpus": "h100:3"}, "gres", 3),
        ({"mem_per_cpu": "2G"}, "mem", 2),
    ],
)
def test_what_the_user_says_goes_before_the_template(given, gone, gpus):
    asked = parameters_of(LIMITS, 600.0, given)
    assert gone not in asked
    assert {key: asked[key] for key, value in given.items() if value} == {k: v for k, v in given.items() if v}
    assert gpus_of(LIMITS, given) == gpus
    assert SLURM.as_asked(LIMITS, given).gpus == gpus  # what is set aside is what the job will hold
    assert parameters_of(SLURM.as_asked(LIMITS, given), 600.0, given) == asked


def test_options_are_those_of_sbatch_with_or_without_dashes():
    assert read_options(["partition=main", "--cpus-per-task=8", "exclusive=true", "gres="]) == {
        **{"partition": "main", "cpus_per_task": "8", "exclusive": "true", "gres": ""}
    }
    assert parameters_of(LIMITS, 600.0, {"exclusive": "true"})["exclusive"] is True


@pytest.mark.parametrize("pair", ["partition", "=main", "output=/tmp/x", "job-name=mine", "array=1-3"])
def test_options_that_cannot_be_meant(pair):
    with pytest.raises(ConfigError, match="--slurm"):
        read_options([pair])
