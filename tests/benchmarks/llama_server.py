"""Requests per second of a real llama.cpp server through our client: 64 in flight against one at a time.

    python -m tests.benchmarks.llama_server [--requests 128] [--alone 16] [--slots 16] [--threads 1]

Both are measured in one run on one server, each after a warm-up, with prompts that differ.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from tasks.roles.chat import ChatRequest
from tasks.roles.placement import ServerSettings
from tasks.roles.servers import Server
from tests.serving.llama_server import CONTEXT, MODEL, llama_server

IN_FLIGHT = 64
TOKENS = 24


def request(number: int) -> ChatRequest:
    """A short instruction to rewrite, the same length of answer for each."""
    text = f"Say in other words: turn cup number {number} on the table blue."
    sampling = {"temperature": 0.7, "top_p": 0.9, "max_tokens": TOKENS}
    return ChatRequest(parts=(text,), sampling=sampling, seed=number)


async def rate(url: str, in_flight: int, numbers: range) -> float:
    """Requests per second of all ``numbers``, so many at the same time."""
    settings = ServerSettings.model_validate(
        {"model": {"id": MODEL, "context_length": CONTEXT}, "urls": [url], "in_flight": in_flight}
    )
    server = Server("llm", settings)
    try:
        await server.ask(request(0))
        begun = time.perf_counter()
        await asyncio.gather(*(server.ask(request(number)) for number in numbers))
        return len(numbers) / (time.perf_counter() - begun)
    finally:
        await server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=128, help="with 64 in flight")
    parser.add_argument("--alone", type=int, default=16, help="one at a time")
    parser.add_argument("--slots", type=int, default=16, help="answers that the server works on at a time")
    parser.add_argument("--threads", type=int, default=1, help="of the server")
    given = parser.parse_args()
    with llama_server(given.slots, given.threads) as url:
        alone = asyncio.run(rate(url, 1, range(1, 1 + given.alone)))
        many = asyncio.run(rate(url, IN_FLIGHT, range(1000, 1000 + given.requests)))
    print(f"one at a time   {alone:6.2f} requests/s ({given.alone} requests)")
    print(f"{IN_FLIGHT} in flight    {many:6.2f} requests/s ({given.requests} requests, {given.slots} slots)")
    print(f"gain            {many / alone:6.2f}")


if __name__ == "__main__":
    main()
