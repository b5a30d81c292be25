"""Evidence: what independent judges say about a claim."""
