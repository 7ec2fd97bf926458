"""Sets torch up for one run, and loads and saves models, the same way in every method."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from registry.errors import MethodError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from registry.context import Context

Dtype = Literal["bfloat16", "float32"]
LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors")


def prepare(context: Context) -> torch.device:
    """Fixes seed, threads and algorithms; returns the device that this process works on.

    Where several processes share the work they have met when it returns.

    Raises:
        MethodError: The machine has not the GPUs that are asked for.
    """
    import torch
    import transformers

    torch.manual_seed(context.seed)
    torch.set_num_threads(context.threads)
    torch.use_deterministic_algorithms(True)
    deterministic: Any = torch.utils.deterministic
    deterministic.fill_uninitialized_memory = False  # a debugging aid that costs a tenth
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if context.device == "cuda" and not torch.cuda.is_available():
        raise MethodError(
            "the machine shows a GPU that torch cannot use",
            mend="install a CUDA build of torch, or set CUDA_VISIBLE_DEVICES to nothing",
        )
    if context.processes > 1:
        _meet(context)
    if context.device == "cuda":
        return torch.device("cuda", context.process)
    return torch.device("cpu")


def _meet(context: Context) -> None:
    """Joins the other processes through a file, so that no port is open and none can be taken."""
    import torch
    from torch import distributed

    if distributed.is_initialized():
        return
    backend = "gloo"
    if context.device == "cuda":
        if torch.cuda.device_count() < context.processes:
            raise MethodError(
                f"{context.processes} processes need a GPU each, and the machine shows "
                f"{torch.cuda.device_count()}",
                where="resources.processes",
                mend="ask for fewer, or leave out `gpus` to run them on the CPU",
            )
        torch.cuda.set_device(context.process)
        backend = "cuda:nccl,cpu:gloo"  # the CPU's part gathers whole weights from FSDP
    distributed.init_process_group(
        backend,
        store=distributed.FileStore(  # type: ignore[attr-defined]
            str(context.meeting), context.processes
        ),
        rank=context.process,
        world_size=context.processes,
    )
    atexit.register(distributed.destroy_process_group)


def processes_here() -> int:
    """How many processes share this work, as they have met."""
    from torch import distributed

    return distributed.get_world_size() if distributed.is_initialized() else 1


def name_of(device: torch.device) -> str:
    """`cpu`, or what its maker calls the GPU."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def as_dtype(name: Dtype) -> torch.dtype:
    """The torch type of a number format."""
    import torch

    return torch.bfloat16 if name == "bfloat16" else torch.float32


def load_model(
    files: Path, device: torch.device, dtype: Dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model that answers, and its tokenizer, from an artifact's files."""
    model, tokenizer = load_weights(files, device, dtype)
    model.eval()
    head = model.get_output_embeddings()
    head.forward = _precise(head.weight.detach().float(), head.bias)
    return model, tokenizer


def load_weights(
    files: Path, device: torch.device, dtype: Dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The same as its authors wrote it, output layer and all: for training every weight."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        files, dtype=as_dtype(dtype), local_files_only=True, trust_remote_code=False
    )
    tokenizer = AutoTokenizer.from_pretrained(files, local_files_only=True, trust_remote_code=False)
    return model.to(device), tokenizer


def _precise(weight: torch.Tensor, bias: torch.Tensor | None) -> Callable[[Any], torch.Tensor]:
    """The output layer in float32, whatever the rest computes in.

    Logits near 16 are 0.125 apart in bfloat16, so that probabilities would move in steps of an
    eighth. The input is made contiguous, since on a strided slice torch copies the whole matrix
    for every prompt.
    """
    import torch

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return torch.nn.functional.linear(hidden.float().contiguous(), weight, bias)

    return forward


def save_model(model: Any, tokenizer: Any, files: Path) -> None:
    """Writes weights as safetensors, with configuration and tokenizer."""
    model.save_pretrained(files, safe_serialization=True)
    tokenizer.save_pretrained(files)
    foreign = [p.name for p in files.iterdir() if p.suffix in (".bin", ".pt", ".pkl")]
    if foreign:
        raise MethodError(f"wrote {foreign[0]}, which can hold code", why="weights are data")
