"""Importing this module registers the layout of the section II runs, for ``--import``."""

from __future__ import annotations

from aaff.data.layouts import register_layout
from experiments.section2.drive_out import DriveOut

register_layout(DriveOut)
