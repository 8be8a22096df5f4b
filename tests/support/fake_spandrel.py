"""A stand-in for spandrel 0.4.2, which needs a torchvision that does not load here: the functions we call, no more.

It knows two architectures, told apart by the names of their tensors as spandrel does: `Blur` repeats what
tests.support.tiny_models does, with a scale, and `MeanFill` paints the mean of a picture where a mask is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class UnsupportedModelError(Exception):
    """No architecture fits."""


class Blur(nn.Module):
    """3×3 weighted mean of each channel, then each pixel repeated."""

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(self.conv(x), scale_factor=self.scale)


class MeanFill(nn.Module):
    """The mean of the picture times a weight, where the mask is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return image + (self.share * image.mean((2, 3), keepdim=True) - image) * mask


@dataclass
class Architecture:
    """Name of an architecture."""

    id: str


class ModelBase:
    """What both kinds of descriptors have."""

    def __init__(self, model: nn.Module, state: dict[str, Any], name: str, scale: int, channels: int) -> None:
        model.load_state_dict(state)
        self.model, self.architecture, self.scale = model, Architecture(name), scale
        self.input_channels = self.output_channels = channels


class ImageModelDescriptor(ModelBase):
    """A picture in, a picture out."""

    @torch.inference_mode()
    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        if image.ndim != 4 or image.shape[0] != 1:
            raise ValueError("one picture a call")
        made: torch.Tensor = self.model(image).clamp_(0, 1)
        return made


class MaskedImageModelDescriptor(ModelBase):
    """A picture and a mask in, a picture out."""

    @torch.inference_mode()
    def __call__(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if image.shape[0] != 1 or mask.shape[1] != 1:
            raise ValueError("one picture and one mask a call")
        made: torch.Tensor = self.model(image, mask).clamp_(0, 1)
        return made


def canonicalize_state_dict(state: dict[str, Any]) -> dict[str, Any]:
    """Take a state dict out of what training scripts put around it."""
    for key in ("params_ema", "params", "state_dict"):
        if isinstance(state.get(key), dict):
            return dict(state[key])
    return state


class ModelLoader:
    """Finds the architecture of a state dict."""

    def __init__(self, device: str | None = None) -> None:
        self._device = device or "cpu"

    def load_from_state_dict(self, state: dict[str, Any]) -> ModelBase:
        if "conv.weight" in state:
            channels = state["conv.weight"].shape[0]
            scale = int(state.get("scale_of_this", torch.tensor(1)))
            weights = {name: value for name, value in state.items() if name != "scale_of_this"}
            found: ModelBase = ImageModelDescriptor(Blur(channels, scale), weights, "Blur", scale, channels)
        elif "share" in state:
            found = MaskedImageModelDescriptor(MeanFill(), state, "MeanFill", 1, 3)
        else:
            raise UnsupportedModelError
        found.model.to(self._device)
        return found


def module() -> ModuleType:
    """The stand-in as a module called `spandrel`."""
    made = ModuleType("spandrel")
    made.__dict__.update(
        __version__="0.4.2",
        ModelLoader=ModelLoader,
        ImageModelDescriptor=ImageModelDescriptor,
        MaskedImageModelDescriptor=MaskedImageModelDescriptor,
        canonicalize_state_dict=canonicalize_state_dict,
        UnsupportedModelError=UnsupportedModelError,
    )
    return made
