"""Find wording that is unusual in the field, and suggest the standard term.

``make check`` runs it on the whole repository; other paths can be given:

    python -m scripts.check_words src/aaff/data
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKED = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "mkdocs.yml", ".github", "docs"),
    *("src", "recipes", "tests", "experiments", "benchmarks", "scripts"),
)

GENERATED = ("docs/experiment",)
"""Written by the experiment's command from its results."""

WORDS = {
    r"(?<!ground )(?<!ground-)(?<!groundtruth )\btruth\b": "ground truth",
    r"(?<!there )\bis no (?:image|folder|file|number|video)\b": "is not a …",
    r"\bgo(?:es|ing)? on (?:where|from|by|with|at)\b": "resume",
    r"\bframe to map\b": "end-to-end latency",
    r"\bthe way back\b": "the backward pass",
    r"\bwhole or not there\b": "written atomically",
    r"\ba row an epoch\b": "one row per epoch",
    r"\ball if left out\b|\bif left out\b": "default: …",
    r"\bdrawn (?:street|scene|frame|data|video)": "synthetic …",
    r"\b(?:plain|ordinary|this|a|the|on) processors?\b": "CPU",
    r"\bpictures? a second\b|\b(?:frames|images) a second\b": "… per second",
    r"\b(?:the|which) rooms?\b": "package",
    r"\b0 to below 1\b": "must be in [0, 1)",
    r":(?:func|class|meth|mod|data|attr|exc|const):`": "``name``, which the documentation site renders",
    r"\banswers? (?:a|the) frame\b|\bnetwork's answers?\b": "prediction",
}
_ENDINGS = {".md", ".py", ".yml", ".yaml", ".toml", ".cff"}


def files(paths: list[Path]) -> Iterator[Path]:
    """The text files among the paths, in a fixed order."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            name = file.resolve().as_posix()
            if file.suffix in _ENDINGS and not any(f"/{folder}/" in name for folder in GENERATED):
                yield file


def odd_words(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line number, the words found and the suggested term.

    >>> list(odd_words("the network and the truth"))
    [(1, 'truth', 'ground truth')]
    """
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, better in WORDS.items():
            for found in re.finditer(pattern, line, re.IGNORECASE):
                yield number, found.group(), better


def main(words: list[str]) -> int:
    """Print all findings; status 1 if there are any."""
    found = 0
    for file in files([Path(word) for word in words] or [ROOT / name for name in CHECKED]):
        if file.resolve() == Path(__file__).resolve():
            continue
        for number, word, better in odd_words(file.read_text(encoding="utf-8")):
            print(f"{file}:{number}: {word!r}; say: {better}")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
