"""Reasoning alignment, equations 3 and 4: editing features against textual and visual grounding."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

EPS = 1e-6


def text_vision_loss(
    noised_ND: Tensor,
    region_N: Tensor,
    text_TD: Tensor,
    project: Callable[[Tensor], Tensor],
    *,
    detach: bool,
) -> Tensor:
    """-cos(P_t(mean of the region's latents), mean of the location text), in [-1, 1], float32.

    `region_N` bool [N] marks one latent at least.
    """
    goal = text_TD.float().mean(dim=0)
    # weights instead of an index: how many latents lie in the region shows in no shape
    inside = (region_N.float() / region_N.sum()) @ noised_ND.float()
    ours = project(inside.to(noised_ND.dtype))
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

    `grid` and `vit_grid` are (rows, columns); `patches` bool [P] restricts the mean to some patches, one at least.
    """
    cells = noised_ND.T.unflatten(1, grid)[None]
    resized = F.interpolate(cells.float(), vit_grid, mode="bilinear", align_corners=False)[0]
    ours = project(resized.flatten(1).T.to(noised_ND.dtype))
    goal = vit_PD.detach() if detach else vit_PD
    cosine = F.cosine_similarity(ours.float(), goal.float(), dim=1, eps=EPS)
    return -cosine.mean() if patches is None else -(cosine * patches).sum() / patches.sum()
