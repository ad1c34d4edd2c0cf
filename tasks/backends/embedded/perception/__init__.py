"""Tagger, detector, segmenter and target judge from packaged CPU models."""
