"""Finding and swapping the modules of a model by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

# Reads the float32 weights whose names begin with a prefix, without the prefix.
State = Callable[[str], dict[str, Tensor]]


def linears(module: nn.Module) -> dict[str, nn.Linear]:
    """Every `nn.Linear` inside, by its dotted name."""
    return {name: m for name, m in module.named_modules() if isinstance(m, nn.Linear)}


def set_module(root: nn.Module, name: str, module: nn.Module) -> None:
    """Put `module` where `name` is."""
    parent, _, child = name.rpartition(".")
    setattr(root.get_submodule(parent), child, module)


def state_of(model: nn.Module) -> State:
    """The weights of a model in memory, as a weights file would give them."""

    def state(prefix: str) -> dict[str, Tensor]:
        named = model.state_dict().items()
        return {n.removeprefix(prefix): t.clone() for n, t in named if n.startswith(prefix)}

    return state
