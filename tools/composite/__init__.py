"""Tools that combine the results of other tools."""
