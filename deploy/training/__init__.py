"""Ways to start training: Ray Train, Slurm, Kubernetes."""
