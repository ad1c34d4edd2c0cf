"""Compares the network of RAM++ with numbers that the published code computed: ``python -m … FOLDER``.

A folder holds ``cases.json`` (sizes, tolerances, and what each tensor is), the weights of a small network under the
published names, and tensors computed with them. Sizes and tolerances come from the folder.
"""
