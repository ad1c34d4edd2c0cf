"""SAM 3 through transformers: all instances of a noun phrase as boxes, and a mask for each box.

Both roles take the published folder (``model_type: sam3_video``) or one that `Sam3Model` or `Sam3TrackerModel` saved.
"""
