"""Runs -> what can be concluded from them: pure data, which pages, figures and files are made of."""

from archbench.conclusions.nouns import Conclusions

__all__ = ["Conclusions"]
