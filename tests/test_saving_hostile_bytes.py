"""A short piece of ``fuzz_files.py``."""

import fuzz_files
import pytest


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", fuzz_files.KINDS)
def test_broken_bytes(kind, tmp_path):
    refused = sum(fuzz_files.fuzz(tmp_path, kind, seed) for seed in range(200))
    assert refused > 20
