"""Start settings for a network: what `gradsim.recommend` does."""

from gradsim.advice.recommend import recommend
from gradsim.advice.result import Finding, Recommendation

__all__ = ["Finding", "Recommendation", "recommend"]
