"""Videos, cameras and streams: sources of frames, outputs, and the threaded pipeline between them."""

from aaff.video.conversion import Conversion, Progress
from aaff.video.outputs import Kind, Output, make_output
from aaff.video.pictures import Style
from aaff.video.sources import Frame, Source, SourceInfo, open_source, short_name, source_kind, source_name
from aaff.video.stream import Stream, stream
from aaff.video.writer import VideoWriter

__all__ = [
    "Conversion",
    "Frame",
    "Kind",
    "Output",
    "Progress",
    "Source",
    "SourceInfo",
    "Stream",
    "Style",
    "VideoWriter",
    "make_output",
    "open_source",
    "short_name",
    "source_kind",
    "source_name",
    "stream",
]
