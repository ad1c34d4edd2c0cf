"""The third stage: crop, edit or remove, put back, measure, judge."""
