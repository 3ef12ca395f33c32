"""Parts of pages: each reads what it needs and draws it."""
