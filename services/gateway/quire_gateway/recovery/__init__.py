"""Putting right what was lost all the same: replays, retries, the sweeper, reconcile, rebuilding the index."""
