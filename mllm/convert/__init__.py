"""Convert: released checkpoints, read tensor by tensor, to ours, written shard by shard."""
