"""What torch was built with and sees: the half of an environment that only a process with torch can tell."""

import re

from harness.machine.shell import _output


def torch_side() -> dict[str, str | int | float]:
    """The fields of `Environment` that only torch knows. Called in the worker, the one process that imports torch."""
    import torch

    return {
        "torch": str(torch.__version__),  # a TorchVersion is a str that cannot be encoded
        "blas": blas_words(torch.__config__.show(), torch.backends.cpu.get_cpu_capability()),
        "torch_threads": torch.get_num_threads(),
        "gpu": _gpu(),
        "driver": _driver(),
    }


def blas_words(build: str, dispatch: str) -> str:
    """The matrix libraries of a torch build in short: `mkl 2024.2, oneDNN 3.12.0, AVX512 kernels`.

    `build` is the text of `torch.__config__.show()`, `dispatch` what `torch.backends.cpu.get_cpu_capability()` says:
    the instruction set that torch's own kernels take, which an environment variable can lower.
    """
    name = re.search(r"BLAS_INFO=(\w+)", build)
    mkl = re.search(r"Math Kernel Library Version ([\d.]+)", build)
    onednn = re.search(r"MKL-DNN v([\d.]+)", build)
    words = [f"{name[1] if name else 'unknown'}{' ' + mkl[1] if mkl else ''}"]
    words += [f"oneDNN {onednn[1]}"] if onednn else []
    return ", ".join([*words, f"{dispatch} kernels"])


def _gpu() -> str:
    import torch

    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return "Apple GPU" if torch.backends.mps.is_available() else "none"


def _driver() -> str:
    """Kernel driver and runtime of the GPU, since a kernel is compiled by the one and launched by the other."""
    import torch

    if not torch.cuda.is_available():
        return "none"
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    versions = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").split()
    return f"NVIDIA {versions[0] if versions else 'unknown'}, CUDA {torch.version.cuda}"
