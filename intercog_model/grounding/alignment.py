"""Reasoning alignment, equations 3 and 4: editing features against textual and visual grounding."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

EPS = 1e-6


def text_vision_loss(
    noised_ND: Tensor, text_TD: Tensor, project: Callable[[Tensor], Tensor], *, detach: bool
) -> Tensor:
    """-cos(P_t(mean of the region's latents), mean of the location text), in [-1, 1], float32."""
    goal = text_TD.float().mean(dim=0)
    ours = project(noised_ND.float().mean(dim=0).to(noised_ND.dtype))
    return -F.cosine_similarity(ours.float(), goal.detach() if detach else goal, dim=0, eps=EPS)


def vision_vision_loss(
    noised_ND: Tensor,
    vit_PD: Tensor,
    grid: tuple[int, int],
    vit_grid: tuple[int, int],
    project: Callable[[Tensor], Tensor],
    *,
    detach: bool,
    patches: Tensor | None = None,
) -> Tensor:
    """-mean over patches of cos(P_v(latents resized to the ViT grid), ViT tokens), in [-1, 1], float32.

    `grid` and `vit_grid` are (rows, columns); `patches` bool [P] restricts the mean to some patches.
    """
    cells = noised_ND.T.unflatten(1, grid)[None]
    resized = F.interpolate(cells.float(), vit_grid, mode="bilinear", align_corners=False)[0]
    ours = project(resized.flatten(1).T.to(noised_ND.dtype))
    goal = vit_PD.detach() if detach else vit_PD
    cosine = F.cosine_similarity(ours.float(), goal.float(), dim=1, eps=EPS)
    return -(cosine if patches is None else cosine[patches]).mean()
