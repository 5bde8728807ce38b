"""DualScale diffusion: low-dimensional generative models with several weighted branches."""
