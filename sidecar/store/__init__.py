"""Where it waits: durable outboxes behind the ports of `sidecar.ports`."""
