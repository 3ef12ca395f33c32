"""What a visit knows: the store, the experiment in view, choices in the URL, the set to forget, pictures over HTTP."""
