"""Segment Anything as segmenter: a picture is embedded once, its boxes are decoded in chunks."""
