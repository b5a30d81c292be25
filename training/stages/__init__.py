"""Training of the core, one file a stage: see, listen, read and call, bridge, join."""
