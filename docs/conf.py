"""How the site of `make docs` is built: guides in Markdown, the API from docstrings without running anything."""

import re

project = "RURK Explorer"
author = "RURK Explorer contributors"
extensions = ["myst_parser", "sphinx.ext.napoleon", "autoapi.extension"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
html_favicon = "../assets/icon.svg"
html_extra_path = ["report.schema.json"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autoapi_dirs = ["../rurk_core"]
autoapi_root = "api"
autoapi_options = ["members"]
autoapi_add_toctree_entry = False
autoapi_keep_files = False
autoapi_python_class_content = "class"
suppress_warnings = ["autoapi.python_import_resolution"]  # names that come from other packages


def setup(app):
    """In docstrings |x| is a magnitude; reStructuredText would look for a text called x."""

    def magnitudes(app, page, source):
        if page.startswith("api/"):
            source[0] = re.sub(r"(``.*?``)|(?<! )\||\|(?! )", lambda found: found[1] or r"\|", source[0])

    app.connect("source-read", magnitudes)
