"""`python tests/fuzz/with_coverage.py TARGET [libFuzzer's options]`: search with coverage to guide it; `make fuzz`.

What is found lies in the folder where it was started, as `crash-…`. It becomes a seed once it is fixed.
"""

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["sidecar"]):
    from fuzz.targets import TARGETS, seeds


def main() -> None:
    name, options = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(name)):
            Path(corpus, str(number)).write_bytes(seed.read_bytes())
        atheris.Setup([sys.argv[0], corpus, *options], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
