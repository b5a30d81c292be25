"""Claims, evidence, verdicts, edits: check any answer against a picture and a sound."""
