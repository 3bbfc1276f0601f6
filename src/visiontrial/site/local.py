"""No page asks anything of another server, and none loads what it does not use."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

# thebe runs cells on a public service; jupyter-book adds it whether or not it is wanted.
UNWANTED = ("sphinx_thebe",)
UNWANTED_FILES = (
    "sphinx-thebe.css",
    "sphinx-thebe.js",
    "scripts/fontawesome.js",  # its icons are there as a font
    "scripts/fontawesome.js.LICENSE.txt",
    "webpack-macros.html",
    "sbt-webpack-macros.html",
)


def setup(app: Sphinx) -> None:
    app.connect("config-inited", _silence)
    app.connect("html-page-context", _unlink, priority=900)
    app.connect("build-finished", _remove)


def _silence(app: Sphinx, config) -> None:
    # The template folder holds the theme's list of scripts without the one of 1.5 MB.
    config.templates_path.append(str(Path(__file__).with_name("templates")))
    # Foreign sites are not asked for their inventories.
    config.intersphinx_mapping = {}
    for listeners in list(app.events.listeners.values()):
        for listener in list(listeners):
            if getattr(listener.handler, "__module__", "").split(".")[0] in UNWANTED:
                app.disconnect(listener.id)


def _unlink(app: Sphinx, pagename, templatename, context, doctree) -> None:
    unwanted = tuple(f"_static/{name}" for name in UNWANTED_FILES)
    context["css_files"] = [f for f in context["css_files"] if getattr(f, "filename", str(f)) not in unwanted]


def _remove(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        static = Path(app.outdir) / "_static"
        for path in [*(static / name for name in UNWANTED_FILES), *static.rglob("*.map")]:
            path.unlink(missing_ok=True)
