"""What the pages share: the experiment in view, one look for every model, pictures and figures."""
