"""Instruction: edit type, instruction, four-part reasoning, rewriting and gates on words (paper 3.1, step 2)."""
