"""SRVGGNetCompact, the small network of Real-ESRGAN: works at the size of its input and enlarges in the last step.

Source: Real-ESRGAN 0.2.3, `realesrgan/archs/srvgg_arch.py` (BSD-3-Clause); the enlargement by channels is Shi et al.,
"Real-Time Single Image and Video Super-Resolution…", CVPR 2016. Layers are registered in the order in which they run.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class SRVGGNetCompact(nn.Module):
    """(n, 3, h, w) in [0, 1] to (n, 3, scale·h, scale·w), about [0, 1]: a correction to the repeated pixels.

    `convolutions` of `features` channels lie between the first and the last one; the receptive field is
    `convolutions` + 2 pixels around a pixel.
    """

    def __init__(self, *, features: int = 64, convolutions: int = 16, scale: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, features, 3, padding=1), nn.PReLU(features)]
        for _ in range(convolutions):
            layers += [nn.Conv2d(features, features, 3, padding=1), nn.PReLU(features)]
        layers.append(nn.Conv2d(features, 3 * scale**2, 3, padding=1))
        self.body = nn.Sequential(*layers)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Run it."""
        detail = functional.pixel_shuffle(self.body(x), self.scale)
        return detail + functional.interpolate(x, scale_factor=self.scale, mode="nearest")
