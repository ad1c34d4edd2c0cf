"""RAM and RAM++ (Recognize Anything): what may be in a picture, out of 4,585 tags.

The networks are written here, since the published code is no package; tensors carry the names of the published
checkpoints. Sources: arXiv 2306.03514 (RAM), 2310.15200 (RAM++), 2103.14030 (Swin).
"""
