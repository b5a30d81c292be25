"""Output: results as text, pictures and files of other packages."""
