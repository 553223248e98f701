"""What every process that compiles does first, done once in the template: imports, and a question to the C++ compiler.

Seconds, of which a worker that is forked later has the results. Other versions of torch may have none of these names:
then the worker does it, as one that is started would.
"""

import contextlib
import importlib
from operator import attrgetter

MODULES = (
    "torch._inductor.compile_fx",
    "torch._inductor.codegen.cpp_wrapper_cpu",
    "torch._dynamo.backends.inductor",
    "torch._inductor.fx_passes.joint_graph",
    "torch._inductor.fx_passes.fuse_attention",
    "torch._inductor.codegen.wrapper_fxir",
    "torch._inductor.runtime.caching",
    "torch.export._trace",
    "torch.export._unlift",
)


ASKED = (
    ("torch._inductor.cpu_vec_isa", "pick_vec_isa"),  # which vector instructions the C++ compiler can use here
    ("torch._inductor.codecache", "torch_key"),  # digests of torch and of Triton, which are part of every key
    ("torch._inductor.codecache", "CacheBase.get_system"),
)
"""Functions whose answer torch's compiler keeps for as long as a process lives."""


def load() -> None:
    """Import torch's compiler, and let it find out what it asks the machine in every process."""
    for name in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for module, function in ASKED:
        with contextlib.suppress(Exception):  # where there is no C++ compiler, who compiles will say so
            attrgetter(function)(importlib.import_module(module))()
