"""The published BAGEL network, part by part, under the tensor names of its checkpoint."""
