"""What every Quire service stands on: messaging, outbox, inbox, batching, storage, telemetry, sandbox."""
