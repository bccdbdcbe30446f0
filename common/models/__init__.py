"""One architecture per file: blocks first, net last."""
