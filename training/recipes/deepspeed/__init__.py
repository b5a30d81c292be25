"""DeepSpeed configurations for the transformers Trainer (`TrainingArguments(deepspeed=...)`)."""
