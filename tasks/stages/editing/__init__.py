"""Editing: edit the crop or remove the target; composite, measure, judge (paper 3.1, step 3)."""
