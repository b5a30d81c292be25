"""Say, call, observe, answer: the loop over a planner, and what surrounds it."""
