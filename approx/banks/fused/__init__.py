"""One CPU kernel in C++ for a whole training step, compiled at first use where a compiler works."""
