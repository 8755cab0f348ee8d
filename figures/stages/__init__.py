"""How a constructed network works, in pictures."""
