"""Seeds that follow from what they are for: the same on every machine, different for every use."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(purpose: str, name: str, number: int) -> int:
    """A seed below 2⁶³ that follows from a purpose in words, a name and a number, and nothing else."""
    digest = hashlib.sha256(f"{purpose}\n{name}".encode()).digest()
    words = map(int, np.frombuffer(digest, dtype="<u4"))
    (state,) = np.random.SeedSequence([*words, number]).generate_state(1, np.uint64)
    return int(state >> np.uint64(1))
