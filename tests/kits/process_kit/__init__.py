"""The sidecar and the emulator as real processes, for the tests of service and faults. Knows no test's meaning."""
