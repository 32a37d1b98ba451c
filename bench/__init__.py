"""How fast the sidecar is, beside yardsticks of the same run: `make bench`. docs/performance.md explains it."""
