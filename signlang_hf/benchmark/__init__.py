"""How fast models are against their alternatives, and where the time of a whole clip goes: ``signlang benchmark``.

torch alone is enough; exported models are measured where Optimum is installed.
"""

from .contenders import Contender, Shape
from .measuring import Benchmark, Speed, benchmark_models
from .stages import STAGES, Road, measure_road
from .turns import in_turns

__all__ = [
    "STAGES",
    "Benchmark",
    "Contender",
    "Road",
    "Shape",
    "Speed",
    "benchmark_models",
    "in_turns",
    "measure_road",
]
