"""Hooks of the documentation site: equations as MathML, and links to files of the repository that are no pages.

Equations stand between dollar signs, as other viewers of Markdown read them; browsers draw MathML by themselves, so
the site needs no script and no other host.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File

_FENCE = re.compile(r"(^```.*?^```$)", flags=re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", flags=re.MULTILINE | re.DOTALL)
_DISPLAY = re.compile(r"\$\$(.+?)\$\$", flags=re.DOTALL)
_INLINE = re.compile(r"(?<![\w$])\$([^$\n]+)\$(?!\w)")
_LINK = re.compile(r"(!?)\[([^\]]*?)\]\(((?:\.\./)+[^)#\s]+)(#[^)]*)?\)")
_ALL_MODULES = re.compile(r"^::: all of (mlsim\.\w+)$", flags=re.MULTILINE)
_ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Any, config: Any) -> Any:
    """Add the figures of the repository that pages show."""
    for page in files.documentation_pages():
        for image, _, target, _ in _LINK.findall(Path(page.abs_src_path).read_text(encoding="utf-8")):
            path = _in_repository(page.src_uri, target)
            if image and path is not None and files.get_file_from_path(f"repository/{path}") is None:
                files.append(File.generated(config, f"repository/{path}", abs_src_path=str(_ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn equations into MathML, and links that leave the site into the path of their file."""
    parts = _FENCE.split(_ALL_MODULES.sub(_modules, markdown))
    parts[::2] = [_linked(part, page.file.src_uri) for part in parts[::2]]
    parts = _CODE.split("".join(parts))
    parts[::2] = [_equations(part) for part in parts[::2]]
    return "".join(parts)


def _modules(found: re.Match[str]) -> str:
    """Return the reference of every public module of a package."""
    package = found.group(1)
    names = (path.stem for path in sorted((_ROOT / package.replace(".", "/")).glob("*.py")))
    return "\n\n".join(f"::: {package}.{name}" for name in names if not name.startswith("_"))


def _equations(text: str) -> str:
    text = _DISPLAY.sub(lambda found: convert(found.group(1).strip(), display="block"), text)
    # a line that begins with <math> would be taken for a block of its own
    return _INLINE.sub(lambda found: f"<span>{convert(found.group(1))}</span>", text)


def _linked(text: str, source: str) -> str:
    def replaced(found: re.Match[str]) -> str:
        image, words, target, _ = found.groups()
        path = _in_repository(source, target)
        if path is None:
            return found.group(0)
        if image:
            return f"![{words}]({posixpath.relpath(f'repository/{path}', posixpath.dirname(source) or '.')})"
        return words if words.strip("`") == path else f"{words} (`{path}`)"

    return _LINK.sub(replaced, text)


def _in_repository(source: str, target: str) -> str | None:
    """Return the path of a link's target from the root of the repository; None for a page of the site."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(source), target))
    return None if path.startswith("docs/") or not (_ROOT / path).exists() else path
