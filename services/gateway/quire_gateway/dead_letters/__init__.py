"""Messages that no worker could handle: collected from the parked queues, and looked after by operators."""
