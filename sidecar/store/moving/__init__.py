"""Moving an outbox from one store to another, with everything that is on its way."""
