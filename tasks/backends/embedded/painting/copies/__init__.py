"""Add and Replace by copying a thing of the same photograph, so that light, lens and grain agree."""
