"""Generation: decoding within a grammar, cached conversations and closed sets of answers."""
