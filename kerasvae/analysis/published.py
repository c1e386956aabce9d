"""The perceived distances that "Overlooked Implications" publishes (supplement, Table 1)."""

from __future__ import annotations

FACTOR_IMPORTANCE = {
    "Cars3D": {
        "random": (0.0519, 0.0188),
        "azimuth": (0.0355, 0.0185),
        "object": (0.0349, 0.0176),
        "elevation": (0.0174, 0.0100),
    },
    "Shapes3D": {
        "random": (0.2432, 0.0918),
        "wall_hue": (0.1122, 0.0661),
        "floor_hue": (0.1086, 0.0623),
        "object_hue": (0.0416, 0.0292),
        "shape": (0.0207, 0.0161),
        "scale": (0.0182, 0.0153),
        "orientation": (0.0116, 0.0079),
    },
    "SmallNORB": {
        "random": (0.0535, 0.0529),
        "lighting": (0.0531, 0.0563),
        "category": (0.0113, 0.0066),
        "azimuth": (0.0090, 0.0071),
        "instance": (0.0068, 0.0048),
        "elevation": (0.0034, 0.0030),
    },
    "DSprites": {
        "random": (0.0754, 0.0289),
        "position_y": (0.0584, 0.0378),
        "position_x": (0.0559, 0.0363),
        "scale": (0.0250, 0.0148),
        "shape": (0.0214, 0.0095),
        "orientation": (0.0172, 0.0106),
    },
    "XYSquares": {
        "random": (0.0308, 0.0022),
        "y_R": (0.0104, 0.0000),
        "y_G": (0.0104, 0.0000),
        "y_B": (0.0104, 0.0000),
        "x_R": (0.0104, 0.0000),
        "x_G": (0.0104, 0.0000),
        "x_B": (0.0104, 0.0000),
    },
}
"""{class of the data set: {factor, or "random": (mean, population standard deviation)}}, of the mean squared error on
images in 0..1. The same as `assets/published_factor_importance.csv`. In the text that is extracted from the paper's PDF
the names are shifted against the numbers; here each stands with its own, as in the comments of the authors' code."""


def published_distances(data) -> dict[str, tuple[float, float]] | None:
    """The published mean and standard deviation for each factor of a data set, and "random".

    Args:
        data: a ground-truth data set.

    Returns:
        {name: (mean, std)}; None for a data set that Table 1 does not have: another class, XYSquares with other
        arguments than the default, or SmallNORB other than its training half with five factors.
    """
    table = FACTOR_IMPORTANCE.get(type(data).__name__)
    if table is None or {*data.factor_names, "random"} != set(table) or tuple(data.image_shape[:2]) != (64, 64):
        return None
    if type(data).__name__ == "XYSquares":
        arguments = data.grid_spacing, data.grid_size, data.square_size, data.rgb
        return dict(table) if arguments == (8, 8, 8, True) else None
    if type(data).__name__ == "SmallNORB" and data.split != "train":
        return None
    return dict(table)
