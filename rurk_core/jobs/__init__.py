"""Work in the background: each job a process of its own."""
