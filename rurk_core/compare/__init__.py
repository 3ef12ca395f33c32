"""Several results side by side, and beside the paper's."""
