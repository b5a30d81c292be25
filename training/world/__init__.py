"""The miniature world: pictures, sounds and speech with complete ground truth."""
