"""Faults of the model's server."""

from __future__ import annotations

from tests.gauntlet.case import Case, Ends
from tests.servers import faults
from tests.servers.openai_strict import StrictServer

CASES: list[Case] = [
    Case("no fault over HTTP", server=StrictServer, quick=True),
    Case(
        "401 in the second run",
        server=StrictServer,
        faults=[None, faults.status(401)],
        verdicts=("auth",),
        status="model_unavailable",
        accepted=1,
        says="HTTP 401",
        resumed=Ends(),
        quick=True,
    ),
]
