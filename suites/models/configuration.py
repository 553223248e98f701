"""A model of transformers from its configuration alone, on torch's meta device: every shape, and no memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

from harness.errors import UsageError
from harness.model.units import choices
from harness.user_code.plain_text import of_error

INSTALL = "pip install 'bitlinear-bench[models]'"


def read_configuration(path: Path) -> dict[str, Any]:
    """The object in a `config.json`. Raises UsageError for anything else."""
    try:
        content = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{path} is no configuration: {of_error(error, 200)}") from error
    if not isinstance(content, dict) or not isinstance(content.get("model_type"), str):
        raise UsageError(
            f"{path} has no model_type, so nobody knows what it configures; give a config.json of transformers"
        )
    return content


def module_of(content: Mapping[str, Any], name: str) -> nn.Module:
    """The model that `architectures` names, else the causal language model of its `model_type`, else the bare model.

    Code that comes with a configuration (`auto_map`) is not run. Raises UsageError where transformers is missing, does
    not know the model, or cannot build it.
    """
    try:
        import transformers
    except ImportError as error:
        raise UsageError(f"{name} is read by transformers, which is not installed here: {INSTALL}") from error
    kind = content["model_type"]
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    if kind not in known:
        raise UsageError(
            f"{name}: transformers {transformers.__version__} knows no model_type {kind!r}{_near(kind, known)}"
        )
    try:
        config = transformers.AutoConfig.for_model(**content)
        with torch.device("meta"):
            built: nn.Module = _class_of(transformers, config)._from_config(config)
    except Exception as error:  # model code may raise anything for numbers that do not fit
        raise UsageError(f"{name}: transformers cannot build it: {of_error(error, 300)}") from error
    return built


def _class_of(transformers: Any, config: Any) -> Any:
    for name in config.architectures or ():
        if hasattr(transformers, name):
            return getattr(transformers, name)
    for auto in (transformers.AutoModelForCausalLM, transformers.AutoModel):
        if type(config) in auto._model_mapping:
            return auto._model_mapping[type(config)]
    raise UsageError(f"no model of {config.model_type!r}")


def _near(kind: str, known: Any) -> str:
    meant = choices(kind, known).partition("; did you mean ")[2]
    return f"; did you mean {meant}" if meant else "; a newer version may"
