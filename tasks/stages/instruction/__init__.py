"""Instruction: edit type, instruction, four-part reasoning, rewriting and word gates (paper 3.1, step 2)."""
