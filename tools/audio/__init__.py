"""Audio: tagging sound events and transcribing speech."""
