"""From what a user types to a whole model: a file, a folder, a reference to code, or a name."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from torch import nn

from bitlinear.engines.packed import PackedLinear
from bitlinear.scheme import FULL_PRECISION, Scheme
from harness.errors import UsageError
from harness.model.messages import ModelReading, ReadModel
from harness.model.units import choices
from harness.model.whole_model import Product, WholeModel
from harness.user_code import shadowing
from harness.user_code.plain_text import of_error
from harness.user_code.raised import innermost, own_frames
from harness.user_code.reference import follow
from suites.models import modules, shipped
from suites.models.configuration import module_of, read_configuration
from suites.models.weight_files import read_gguf, read_safetensors

FORMS = "give a config.json or its folder, a .safetensors or .gguf file, or mypkg:make_model"


def answer(question: ReadModel) -> ModelReading:
    """What a worker replies."""
    try:
        schemes = [Scheme.parse(text) for text in question.schemes]
    except ValueError as error:
        return ModelReading(refusal=f"--scheme: {error}")
    if not question.source:
        return ModelReading(known=tuple(shipped.models()))
    try:
        model = read(question.source)
        return ModelReading(msgspec.structs.replace(model, products=with_bytes(model.products, schemes)))
    except UsageError as error:
        return ModelReading(refusal=str(error))
    except OSError as error:
        return ModelReading(refusal=f"{question.source} cannot be read: {error.strerror}")


def read(source: str) -> WholeModel:
    """The model that `source` names. Raises UsageError for what cannot be read, in one line."""
    path = Path(source)
    if _is_there(path):
        return _from_disk(path, source)
    if source in shipped.names():
        return shipped.model(source)
    if "/" in source or path.suffix in (".json", ".safetensors", ".gguf"):
        raise UsageError(f"there is no {source}; {FORMS}")
    if ":" in source:
        return modules.model_of(_made(source), source)
    raise UsageError(f"no model {source!r} comes with bitbench; {FORMS}, or {choices(source, shipped.names())}")


def with_bytes(products: Sequence[Product], schemes: Sequence[Scheme]) -> tuple[Product, ...]:
    """Each with its bytes by scheme. Raises UsageError for groups that do not divide input features, naming all."""
    wrong = [p for p in products for scheme in schemes if not scheme.divides(p.in_features)]
    if wrong:
        told = ", ".join(dict.fromkeys(f"{one.name} ({one.in_features})" for one in wrong))
        raise UsageError(f"--scheme: the groups do not divide the input features of {told}; choose others")
    return tuple(
        msgspec.structs.replace(one, scheme_bytes={str(scheme): _bytes(one, scheme) for scheme in schemes})
        for one in products
    )


def _bytes(product: Product, scheme: Scheme) -> int:
    """As `packed` stores it, which has exactly the bits of the scheme, and scales; a layer on the meta device tells."""
    if product.is_tied:
        return 0
    n, k = product.out_features, product.in_features
    if scheme.weight_bits == FULL_PRECISION:
        return product.count * n * k * FULL_PRECISION // 8
    layer = PackedLinear(k, n, scheme, device="meta", dtype=torch.float32)
    return product.count * sum(buffer.nbytes for buffer in layer.buffers())


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a path, or with a character that none may hold
        return False


def _from_disk(path: Path, source: str) -> WholeModel:
    if path.is_dir() and (path / "config.json").is_file():
        path = path / "config.json"
    if path.is_dir():
        found = sorted(path.glob("*.safetensors"))
        if not found:
            raise UsageError(f"the folder {path} has neither config.json nor a .safetensors file; {FORMS}")
        return read_safetensors(found, source)
    if path.suffix == ".safetensors":
        return read_safetensors([path], source)
    if path.suffix == ".gguf":
        return read_gguf(path)
    if path.suffix != ".json":
        raise UsageError(f"{path} is of no kind that is read; {FORMS}")
    return modules.model_of(module_of(read_configuration(path), source), source)


def _made(reference: str) -> nn.Module:
    """What a reference names, or makes when it is called on the meta device, where no weight takes memory."""
    made = follow(reference, shadowing.import_module)
    if callable(made) and not isinstance(made, nn.Module):
        try:
            with torch.device("meta"):
                made = made()
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            where = innermost(own_frames(error))
            raise UsageError(
                f"{reference} cannot be called on the meta device: {of_error(error, 300)}{where and f'; in {where}'};"
                f" make the model without its weights, or name one that is made already"
            ) from error
    if not isinstance(made, nn.Module):
        raise UsageError(
            f"{reference} gives a {type(made).__name__}; give a torch.nn.Module, or a function that makes one"
        )
    return made
