"""Reconstructed patients: from what a paper prints to an ensemble of cohorts that agree with all of it.

Data flow one way through these rooms: `specification` (what is known of the trial) →
`problem` (the same as arrays) → `model` (how patients could have come about) → `chain`
(the search for a cohort that agrees) → `rows` (ADSL and ADTTE) → `store` (the ensemble).
`verify` judges stored rows with other people's libraries and knows nothing of the search.

The patients are synthetic. They agree with the paper by construction, so agreement proves
only that the printed numbers can be true together.
"""

import hashlib
import os
from pathlib import Path

import numba

from visiontrial import paths
from visiontrial.cohort import sources


def _keep_compiled_code_by_source() -> None:
    """Let numba keep compiled code in a folder of its own for each state of the engine's source.

    Numba looks only at the file of the function itself: after a change of what that function calls
    it would go on running the old code.
    """
    state = hashlib.sha256(b"".join(sources.behind("visiontrial.cohort.chain"))).hexdigest()[:12]
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or paths.BUILD / "numba")
    numba.config.CACHE_DIR = str(base / state)


_keep_compiled_code_by_source()
