"""Behaviour common to all jobs: arguments, log, one job per output, checked inputs."""
