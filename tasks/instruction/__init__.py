"""The instruction stage: edit type, instruction, four-part reasoning, rewriting and the gates on the words."""
