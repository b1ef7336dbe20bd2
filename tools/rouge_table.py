#!/usr/bin/env python3
"""Writes rewards/rouge_table.h: what the package rouge-score says of invented pairs.

Usage, where that package is installed (pip install rouge-score==0.1.2):
    tools/rouge_table.py > rewards/rouge_table.h
"""
from importlib.metadata import version

from rouge_score import rouge_scorer

PAIRS = [
    ("organ pipe tuner", "organ pipe tuner"),
    ("organ pipe tuner", "tuner for organ pipes"),
    ("light switch for model railways", "switch lights of a model railway"),
    ("the cat sat on the mat", "the the the the cat"),
    ("the the the the cat", "the cat sat on the mat"),
    ("log book for potters", ""),
    ("", "log book for potters"),
    ("", ""),
    ("a b c d e f g", "g f e d c b a"),
    ("one two one two one two", "two one two one"),
    ("Real-time X11/OpenGL viewer (GTK+ 3)", "real time x11 opengl VIEWER gtk 3"),
    ("tide tables, harbours and Gezeiten für alle", "Gezeiten f r alle harbours"),
    ("numbers 1.0 and 2.0", "numbers 10 and 20"),
    ("word", "word word word"),
    ("a b c a b c a b", "a b a b a b c c"),
    ("--- ***", "??? !!!"),
    ("library for reading tide tables - development files",
     "library for writing tide tables - shared library"),
    ("under_score and CamelCase", "under score and camelcase"),
]

NAMES = ["rouge1", "rouge2", "rougeL"]


def literal(text):
    bytes_ = text.encode()
    return '"' + "".join(chr(b) if 32 <= b < 127 else f'\\{b:03o}' for b in bytes_) + '"'


def main():
    scorer = rouge_scorer.RougeScorer(NAMES)
    print(f"// rouge_table.h - written by tools/rouge_table.py with rouge-score "
          f"{version('rouge-score')}; not by hand.")
    print("// reference, candidate, then precision, recall and F of ROUGE-1, ROUGE-2, ROUGE-L")
    for reference, candidate in PAIRS:
        scores = scorer.score(reference, candidate)
        print(f"{{{literal(reference)},\n {literal(candidate)},")
        rows = [", ".join(f"{v:.17g}" for v in scores[name]) for name in NAMES]
        print(" {{" + "},\n  {".join(rows) + "}}},")


if __name__ == "__main__":
    main()
