"""What a constructed network does on the whole cube: error, checks, certificate."""
