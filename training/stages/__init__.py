"""Training of the core, one file a stage."""
