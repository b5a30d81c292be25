"""Editing: corrections of the words of refuted claims."""
