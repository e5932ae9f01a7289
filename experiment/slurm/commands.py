"""Slurm commands: submit through submitit, query, cancel, release; and how their errors are classified."""

from __future__ import annotations

import logging
import math
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_sci.experiment.attempt import AttemptPlan
from ai_sci.experiment.base import AiSciError, ConfigError, EnvironmentFailed, Limits, secret_variables
from ai_sci.experiment.slurm.job import HARNESS_MEMORY, execute
from ai_sci.experiment.slurm.ticket import Ticket
from ai_sci.import_path import python_argv

# Seconds added to the experiment's own time limit: interpreter, sandbox, a slow file system.
SETTING_UP = 300.0
_COMES_BACK = 60.0  # seconds a restarted controller needs to find its nodes again
_COMMAND_TIME = 120.0  # seconds; Slurm's own timeouts are shorter
_UNREACHABLE = re.compile(
    r"Unable to contact slurm controller|Socket timed out|Connection (refused|reset|timed out)|Zero Bytes were|"
    r"Transport endpoint|Slurm controller not responding|in standby mode|Resource temporarily unavailable|"
    r"Address already in use|Slurm temporarily unable",
    re.IGNORECASE,
)
# Options that ai-sci sets itself.
_OURS = frozenset(("array", "chdir", "error", "job_name", "ntasks", "open_mode", "output", "wait", "wrap"))
_GPUS = ("gres", "gpus", "gpus_per_node", "gpus_per_task")
_MEMORY = ("mem", "mem_per_cpu", "mem_per_gpu")

Parameters = dict[str, Any]

log = logging.getLogger(__name__)


class Unreachable(AiSciError):
    """The controller does not answer for now."""

    exit_code = 3


@dataclass(frozen=True)
class SlurmJob:
    """A job as squeue reports it. `state` is "" when Slurm does not know the job, or no longer does."""

    id: str = ""
    state: str = ""
    reason: str = ""
    node: str = ""

    @property
    def waits(self) -> bool:
        """Whether it is queued or suspended."""
        return self.state in ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "SUSPENDED")

    @property
    def is_alive(self) -> bool:
        """Whether it is waiting or running."""
        return self.waits or self.state in ("RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED")


def read_options(pairs: Sequence[str], option: str = "--slurm") -> dict[str, str]:
    """Parses KEY=VALUE pairs into sbatch options. Raises ConfigError."""
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip().lstrip("-").replace("-", "_")
        if not equals or not key:
            raise ConfigError(f'{option} takes KEY=VALUE, a long option of sbatch such as partition=main, not "{pair}"')
        if key in _OURS:
            raise ConfigError(f"{option} {key}: ai-sci sets this itself")
        options[key] = value.strip()
    return options


def gpus_of(limits: Limits, options: Mapping[str, str]) -> int:
    """How many GPUs the job requests on its one node."""
    asked = [(key, options[key].split(",")) for key in _GPUS if key in options]
    if not asked:
        return limits.gpus
    entries = [entry for key, all_of in asked for entry in all_of if entry and (key != "gres" or entry[:3] == "gpu")]
    counts = [entry.rpartition(":")[2] for entry in entries]  # gpu:2, gpu:a100:2, a100:2, 2, gpu
    return sum(int(count) if count.isdigit() else 1 for count in counts)


def parameters_of(limits: Limits, seconds: float, options: Mapping[str, str]) -> Parameters:
    """sbatch options for a job of up to `seconds`, with underscores for dashes; `options` override ours."""
    ours: Parameters = {"time": math.ceil((seconds + SETTING_UP) / 60), "requeue": True, "nodes": 1}
    if limits.gpus and not any(key in options for key in _GPUS):
        ours["gres"] = f"gpu:{limits.gpus}"
    if limits.cpus is not None:
        ours["cpus_per_task"] = limits.cpus
    if limits.memory is not None and not any(key in options for key in _MEMORY):
        ours["mem"] = f"{math.ceil((limits.memory + HARNESS_MEMORY) / 1024**2)}M"
    merged = ours | {key: True if value == "true" else value for key, value in options.items()}
    return {key: value for key, value in merged.items() if value != ""}


def require_commands() -> None:
    """Raises ConfigError when a Slurm command is not on the PATH."""
    missing = [name for name in ("sbatch", "squeue", "scancel", "scontrol") if shutil.which(name) is None]
    if missing:
        raise ConfigError(
            f"there is no Slurm here ({missing[0]} is not on the PATH): run ai-sci on a login node of the cluster, or "
            "use --engine local, without --detach."
        )


def test_only(parameters: Parameters) -> None:
    """Validates a job with `sbatch --test-only`. Raises ConfigError saying why Slurm would refuse it."""
    flags = flags_of(parameters)
    try:
        ask("sbatch", "--test-only", *flags, "--wrap", "true")
    except EnvironmentFailed as error:
        raise ConfigError(
            f"{error} Asked for: {' '.join(flags)}. Change the template's [limits] (gpus = 0 asks for no GPU), or give "
            "--slurm KEY=VALUE (an empty value drops an option)."
        ) from None


def submit(ticket: Ticket, plan: AttemptPlan, parameters: Parameters) -> str:
    """Queues the job and returns its id. Raises Unreachable, and EnvironmentFailed when Slurm refuses it."""
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    class Executor(SlurmExecutor):
        """Command-line options override variables such as SBATCH_PARTITION; options in the script do not."""

        @property
        def _submitit_command_str(self) -> str:
            return shlex.join(python_argv("submitit.core._submit", str(self.folder)))

        def _make_submission_command(self, submission_file_path: Path) -> list[str]:
            unset = [f"--unset={name}" for name in _left_out()]
            return ["env", *unset, "sbatch", *flags_of(parameters), str(submission_file_path)]

    executor = Executor(ticket.folder)
    executor.update_parameters(
        job_name=ticket.job_name,
        comment=f"{plan.session.name} {plan.folder.name}",
        use_srun=False,  # one process on one node
        additional_parameters={"chdir": str(ticket.folder)},
    )
    try:
        return executor.submit(execute, ticket.folder, plan).job_id
    except (FailedJobError, FailedSubmissionError) as error:
        raise _failure("sbatch", str(error)) from None


def _left_out() -> list[str]:
    """Variables withheld from the job: API keys, and the SLURM_* ones of a job that ai-sci itself runs in."""
    ours = [name for name in os.environ if name.startswith("SLURM_") and name not in ("SLURM_CONF", "SLURM_CLUSTERS")]
    return [*secret_variables(), *ours, "CUDA_VISIBLE_DEVICES"]


def is_submitted(ticket: Ticket, job: str) -> bool:
    """Whether the job will find its payload, which submitit writes only after sbatch has answered."""
    return (ticket.folder / f"{job}_submitted.pkl").is_file()


def look(ticket: Ticket, job: str = "") -> SlurmJob:
    """This ticket's job, the last of several. Raises Unreachable."""
    whose = ["--jobs", job] if job else ["--me", "--name", ticket.job_name]
    try:
        said = ask("squeue", "--noheader", "--states=all", *whose, "--format=%i|%T|%r|%N")
    except EnvironmentFailed as error:
        if "Invalid job id" in str(error):
            return SlurmJob(job)
        raise
    lines = [line.strip().split("|") for line in said.splitlines() if line.count("|") == 3]
    return SlurmJob(*lines[-1]) if lines else SlurmJob(job)


def cancel(ticket: Ticket) -> None:
    """Cancels every job of this ticket; finished ones are ignored. Raises Unreachable."""
    ask("scancel", "--me", f"--name={ticket.job_name}")


def release(job: SlurmJob) -> None:
    """Puts a held job back in the queue. Raises Unreachable, and EnvironmentFailed when Slurm refuses."""
    ask("scontrol", "release", job.id)


def job_log(ticket: Ticket, job: str) -> str:
    """The last log line of a job that never started its experiment; "" when there is none."""
    for name in (f"{job}_0_log.err", f"{job}_0_log.out"):
        try:
            lines = (ticket.folder / name).read_text(errors="replace").strip().splitlines()
        except OSError:
            continue
        if lines:
            return lines[-1][:500]
    return ""


def patiently(command: Callable[[], Any], seconds: float, tell: Callable[[str], None]) -> Any:
    """Retries `command` while the controller does not answer. Raises EnvironmentFailed after `seconds`.

    A controller that just restarted does not know its nodes yet, so its refusals are retried for a while too.
    """
    import tenacity

    unanswered = 0.0

    def tolerantly() -> Any:
        nonlocal unanswered
        try:
            return command()
        except Unreachable:
            unanswered = time.monotonic()
            raise
        except (EnvironmentFailed, ConfigError) as error:
            if unanswered and time.monotonic() - unanswered < _COMES_BACK:
                raise Unreachable(str(error)) from None
            raise

    def note(state: tenacity.RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            tell(f"{state.outcome.exception()} Trying again for {seconds:.0f} s.\n")

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Unreachable),
        wait=tenacity.wait_exponential(multiplier=0.5, max=30),
        stop=tenacity.stop_after_delay(seconds),
        before_sleep=note,
        reraise=True,
    )
    try:
        return retrying(tolerantly)
    except Unreachable as error:
        raise EnvironmentFailed(f"{error} No answer within {seconds:.0f} s.") from None


def flags_of(parameters: Parameters) -> list[str]:
    """The options as sbatch command-line flags."""
    return [f"--{key.replace('_', '-')}" + ("" if value is True else f"={value}") for key, value in parameters.items()]


def ask(*argv: str) -> str:
    """Runs a Slurm command and returns its stdout. Raises Unreachable and EnvironmentFailed."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_COMMAND_TIME
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(f"Slurm does not answer: {argv[0]} took more than {_COMMAND_TIME:.0f} s.") from None
    except OSError as error:
        raise EnvironmentFailed(f"{argv[0]} cannot be executed: {error.strerror}.") from None
    log.debug("%s ended with %d", shlex.join(argv), done.returncode)
    if done.returncode != 0:
        raise _failure(argv[0], done.stderr or done.stdout)
    return done.stdout


def _failure(command: str, said: str) -> AiSciError:
    lines = [line.strip() for line in said.splitlines() if re.search(r"error|failure", line, re.IGNORECASE)]
    line = re.sub(r"^(?:\w+: )?(?:error|allocation failure)?:?\s*", "", lines[-1] if lines else said.strip()[-300:])
    if _UNREACHABLE.search(said):
        return Unreachable(f"Slurm does not answer ({line.rstrip('.')}).")
    return EnvironmentFailed(f"Slurm refused it ({command}): {line.rstrip('.')}.")
