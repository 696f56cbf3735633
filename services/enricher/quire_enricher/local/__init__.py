"""Reading a text without a model: its sentences, the terms that matter in it, and the sentences that stand for it."""
