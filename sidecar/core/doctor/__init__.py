"""What `sidecar doctor` finds: facts in, checks out. Reads nothing; `sidecar.doctor` gathers the facts."""
