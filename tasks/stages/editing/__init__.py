"""Editing: crop and edit, or remove; composite, measure, judge (paper 3.1, step 3)."""
