"""Language models behind one protocol: live ones through litellm, scripted ones, recorded ones.

One HTTP request per try, one retry loop, and reasoning kept separate from the reply.
"""

from ai_sci.agent.models.adapter import open_model, prepare_model
from ai_sci.agent.models.connections import watch_http
from ai_sci.agent.models.cost import require_known
from ai_sci.agent.models.keys import key_problem
from ai_sci.agent.models.litellm_setup import load_ahead, load_all
from ai_sci.agent.models.names import resolve
from ai_sci.agent.models.playback import USED_UP
from ai_sci.agent.models.protocol import Answerer, Model, OnDelta, OnFailure
from ai_sci.agent.models.reply import CallFailure, ModelUnavailable, Reply, Usage
from ai_sci.agent.models.retrying import BeforeTry, unlimited
from ai_sci.agent.models.wire_bodies import ended_normally
