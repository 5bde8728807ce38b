"""What every job does, whatever its script: arguments, log, one job per output, checked inputs."""
