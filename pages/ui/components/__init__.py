"""Parts that run in the browser: each a ``.py`` beside its ``.js`` and ``.css``."""
