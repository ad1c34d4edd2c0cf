"""Prints the ids that vLLM generates greedily from a prompt of ids; run by the interpreter that has vLLM."""

from __future__ import annotations

import json
import sys


def main(folder: str, prompt: str, count: str) -> None:
    from vllm import LLM, SamplingParams  # noqa: PLC0415

    model = LLM(
        model=folder,
        dtype="float32",
        max_model_len=256,
        max_num_seqs=1,
        enforce_eager=True,
        limit_mm_per_prompt={"image": 0},
    )
    settings = SamplingParams(temperature=0.0, max_tokens=int(count), ignore_eos=True)
    (answer,) = model.generate({"prompt_token_ids": json.loads(prompt)}, settings)
    told = answer.outputs[0]
    print(json.dumps({"ids": list(told.token_ids), "text": told.text}))


if __name__ == "__main__":
    main(*sys.argv[1:])
