"""What can be measured in the ink of a small grey image."""

import numpy as np
import pandas as pd

#: The grey value of a fully inked pixel; 0 is blank paper.
FULL_INK = 16


def describe(images: np.ndarray, zones: pd.DataFrame) -> pd.DataFrame:
    """Describe each image by where its ink lies and how often a line crosses it.

    Args:
        images: Grey values from 0 to 16, of shape (images, rows, columns).
        zones: One rectangle a row: ``zone``, ``top``, ``bottom``, ``left``, ``right``, in
            pixels, the bottom and the right end not included.

    Returns:
        One row an image. Amounts of ink are shares of a fully inked area, positions and
        spreads are pixels, and a ``strokes_…`` column counts the strokes met on the way
        along that row or column.
    """
    ink = images / FULL_INK
    rows, columns = np.mgrid[0 : ink.shape[1], 0 : ink.shape[2]]
    total = np.maximum(ink.sum(axis=(1, 2)), 1e-9)  # a blank image has no centre; 0 / 0 is not 0
    row = (ink * rows).sum(axis=(1, 2)) / total
    column = (ink * columns).sum(axis=(1, 2)) / total

    features = {"ink": ink.mean(axis=(1, 2))}
    for zone in zones.itertuples():
        area = ink[:, zone.top : zone.bottom, zone.left : zone.right]
        features[f"ink_{zone.zone}"] = area.mean(axis=(1, 2))
    features["centre_row"] = row
    features["centre_column"] = column
    features["spread_rows"] = _spread(ink, rows, row, total)
    features["spread_columns"] = _spread(ink, columns, column, total)
    features["symmetry_left_right"] = 1 - np.abs(ink - ink[:, :, ::-1]).mean(axis=(1, 2))
    features["symmetry_up_down"] = 1 - np.abs(ink - ink[:, ::-1, :]).mean(axis=(1, 2))
    dark = ink > 0.5
    for number in range(ink.shape[1]):
        features[f"strokes_row_{number}"] = _strokes(dark[:, number, :])
    for number in range(ink.shape[2]):
        features[f"strokes_column_{number}"] = _strokes(dark[:, :, number])
    return pd.DataFrame(features)


def _spread(
    ink: np.ndarray, positions: np.ndarray, centre: np.ndarray, total: np.ndarray
) -> np.ndarray:
    """The standard deviation of the ink around its centre, in pixels."""
    distance = positions - centre[:, None, None]
    spread: np.ndarray = np.sqrt((ink * distance**2).sum(axis=(1, 2)) / total)
    return spread


def _strokes(lines: np.ndarray) -> np.ndarray:
    """How often each line of pixels goes from paper to ink."""
    begins = np.diff(lines.astype(int), axis=1, prepend=0) == 1
    strokes: np.ndarray = begins.sum(axis=1)
    return strokes
