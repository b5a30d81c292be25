"""Training of the perception models: one file a model."""
