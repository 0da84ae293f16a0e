"""WeChat on loopback, and a phone to use it: for development, tests and benchmarks.

It shares no code with the backend, so that the two check each other.
"""

from simulator.defaults import DEFAULT_APPS
from simulator.server import Simulator

__all__ = ["DEFAULT_APPS", "Simulator"]
