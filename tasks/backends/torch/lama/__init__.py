"""LaMa (Suvorov et al., WACV 2022): an inpainter with Fourier convolutions, from its published TorchScript file."""
