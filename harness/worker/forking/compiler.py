"""What every process that compiles does first, done once in the template: imports, and a question to the C++ compiler.

Seconds, of which a worker that is forked later has the results. Other versions of torch may have none of these names:
then the worker does it, as one that is started would.
"""

import contextlib
import importlib

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


def load() -> None:
    """Import torch's compiler, and let it find out which vector instructions the C++ compiler can use here."""
    for name in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with contextlib.suppress(Exception):  # where there is no C++ compiler, who compiles will say so
        importlib.import_module("torch._inductor.cpu_vec_isa").pick_vec_isa()
