"""The text the bundled models are trained on: the source of Python's standard library."""

import hashlib
import importlib.util
import platform
import random
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

END_OF_TEXT = "<|endoftext|>"  # GPT-2's word for it; token 0 here, put before every file

# Test suites and IDLE repeat themselves; later Pythons lack lib2to3; the rest are tables or prose, not code.
EXCLUDED_FOLDERS = {
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "encodings",
    "pydoc_data",
}
# _sysconfigdata records how and where one interpreter was built.
EXCLUDED_FILES = ("_pydecimal", "_sysconfigdata")


@dataclass(frozen=True)
class Corpus:
    """Texts to train on and texts held out, one string per file."""

    source: str  # what the texts are, with version, number of files and bytes
    train: tuple[str, ...]
    held_out: tuple[str, ...]

    @cached_property
    def sha256(self) -> str:
        """Checksum over all texts, training texts first."""
        digest = hashlib.sha256()
        for text in (*self.train, *self.held_out):
            digest.update(text.encode())
            digest.update(b"\0")  # so that moving a line across a file's end shows
        return digest.hexdigest()


def standard_library_files(root: Path) -> list[Path]:
    """The Python files below `root` that are code and the same wherever this Python is installed, sorted."""
    files = []
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        inside = path.relative_to(root)
        if not EXCLUDED_FOLDERS.intersection(inside.parts) and not inside.name.startswith(EXCLUDED_FILES):
            files.append(path)
    return files


def standard_library(root: Path | None = None, seed: int = 0) -> Corpus:
    """The running interpreter's standard library; one file in twenty is held out.

    Raises FileNotFoundError if the interpreter has no library source beside it (an embedded Python, say).
    """
    root = root or Path(sysconfig.get_path("stdlib"))
    texts = [path.read_text(encoding="utf-8", errors="ignore") for path in standard_library_files(root)]
    if len(texts) < 2:
        raise FileNotFoundError(f"no Python source of the standard library in {root}")
    size = sum(len(text.encode()) for text in texts)
    random.Random(seed).shuffle(texts)
    n_held_out = max(1, len(texts) // 20)
    version = f"{platform.python_implementation()} {platform.python_version()}"
    return Corpus(
        source=f"{version} standard library, {len(texts)} files, {size} bytes",
        train=tuple(texts[n_held_out:]),
        held_out=tuple(texts[:n_held_out]),
    )


def package_source(name: str) -> tuple[str, ...]:
    """The Python files of an installed package, in order: text that a pinned version keeps the same everywhere.

    Raises ModuleNotFoundError if it is not installed.

    >>> package_source("einops")[0]
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed, or has no source")
    files = standard_library_files(Path(spec.origin).parent)
    return tuple(path.read_text(encoding="utf-8", errors="ignore") for path in files)


def train_tokenizer(texts: Sequence[str], d_vocab: int):
    """A byte-level BPE `tokenizers.Tokenizer` of at most `d_vocab` entries; END_OF_TEXT is token 0."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),  # every byte: no text is out of vocabulary
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def token_stream(tokenizer, texts: Sequence[str]) -> list[int]:
    """All texts as one list of token ids, END_OF_TEXT before each."""
    return [token for encoding in tokenizer.encode_batch(list(texts)) for token in (0, *encoding.ids)]
