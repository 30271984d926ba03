"""HTML from the templates beside this module: every value is escaped, and one that is missing is an error."""

from __future__ import annotations

import functools
from typing import Any

import jinja2


def render(template: str, **values: Any) -> str:
    """A template of ``templates/`` with its values.

    Text among them never becomes an element: all is escaped, and no template marks anything as safe.

    Args:
        template: name of its file.
        values: what it is given, by name.

    Raises:
        jinja2.UndefinedError: the template asks for a value that it is not given.
    """
    return _templates().get_template(template).render(**values)


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("hsi_cd.reporting.html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
