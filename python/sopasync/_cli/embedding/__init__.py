"""Texts as vectors, learned from the texts themselves: TF-IDF and a truncated SVD (latent semantic analysis).

Deerwester et al., "Indexing by Latent Semantic Analysis", 1990. Made of numpy alone; downloads nothing.
"""

from __future__ import annotations

from sopasync._cli.embedding.embedding import Embedding
from sopasync._cli.embedding.fitting import Fitted, fit
from sopasync._cli.embedding.vocabulary import TermCounts
from sopasync._cli.embedding.words import Words

__all__ = ("Embedding", "Fitted", "TermCounts", "Words", "fit")
