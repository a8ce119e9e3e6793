"""A signal for parameters without a model of their own."""

from __future__ import annotations

import numpy as np

from greenmine.registry import Channel
from greenmine.simulators.activity import Activity
from greenmine.simulators.random_streams import Floats, RandomStreams

_STEP = 45
"""Minutes between the knots of the swing."""
_QUIET, _WORKING, _SWING = 0.35, 0.2, 0.08
"""Place in the range by logarithms: at rest, what work adds, and the standard deviation of the swing."""


def signal(streams: RandomStreams, channel: Channel, work: Activity, first: int) -> Floats:
    """Return a slow swing within the usual range, higher while the mine works.

    Parameters
    ----------
    streams : RandomStreams
        The site's own.
    channel : Channel
        Its parameter gives the range: ``usual``, else all plausible values from its resolution on.
    work : Activity
        Of the span of minutes.
    first : int
        First minute of the span since 1970 UTC.

    Returns
    -------
    float64 array (n,)
        In the parameter's unit.
    """
    parameter = channel.parameter
    span = parameter.usual or parameter
    low = max(span.low, 10.0**-parameter.decimals)
    swing = streams.smooth(f"signal {channel.key}", first, len(work.working), _STEP)
    place = np.clip(_QUIET + _WORKING * work.working + _SWING * swing, 0.0, 1.0)
    return np.asarray(low * (span.high / low) ** place)
