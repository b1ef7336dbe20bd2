#!/usr/bin/env python3
"""What `tokenizers` says, for nets/tokenizer_peer_test.c and nets/tokenizer_test.c to compare with.

Needs a Python environment with `tokenizers`. Everything follows from --seed.

  peer_tokenizer.py FOLDER             tokenizers of the three families and their options, 10,000
                                       lines of mixed Unicode, their ids, and corpora to train on
  peer_tokenizer.py FOLDER --check     the other direction, after the C test has run: opens what it
                                       trained and saved, and compares the ids of all lines
  peer_tokenizer.py FOLDER --fixture   the small files of nets/testdata

Code points assigned after Unicode 14 are not used: the libraries' tables differ there.
"""
import argparse
import json
import os
import random
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")

# --- text ---

SCRIPTS = {  # letters, marks that follow some letters
    "latin": ("aàâäáãåābcçčdðeéèêëēfgğhiîïíījklłmnñoôöóõøōpqrřsšßſtþuûüúūvwxyýÿzž",
              "\u0301\u0308\u0323"),
    "ascii": ("eeeeaaaiiooutttnnnssshhrrddlluc", ""),
    "cyrillic": ("абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґ", "\u0301"),
    "greek": ("αβγδεζηθικλμνξοπρστυφχψωάέήίόύώϊΐΰᾳῆᾧ", "\u0301\u0345"),
    "arabic": ("ابتثجحخدذرزسشصضطظعغفقكلمنهوي", "\u064b\u064e\u0651\u0652"),
    "hebrew": ("אבגדהוזחטיכךלמםנןסעפףצץקרשת", "\u05b0\u05b8\u05bc\u05c1"),
    "devanagari": ("अआइईउएकखगघचजटडतदनपबमयरलवशसह\u0958\u095c",
                   "\u093e\u093f\u0940\u094d\u0902\u093c"),
    "thai": ("กขคงจชดตถทนบปผพมยรลวสหอ", "\u0e31\u0e34\u0e35\u0e48\u0e49"),
    "han": ("的一是不了人我在有他这中大来上国個們學語\u2f00\uf900\u3400\U00020000", ""),
    "kana": ("あいうえおかがきくけこさしすせそアイウエオカガパー", "\u3099\u309a"),
    "hangul": ("가각한국어말글이다는을에서힣\u1112\u1161\u11ab", ""),
    "mongolian": ("\u1820\u1821\u1822\u1828\u182d\u182f\u180e", ""),
    "math": ("\U0001d400\U0001d504\U0001d7d8ℕℝ\u2126\u212a\u212bµªºﬁﬃ\ufb06\ufdfaＡｂ", ""),
}
SPACES = (" \u00a0\u3000\u2003\u2009\u200a\u202f\u205f\u1680\u2028\u2029\u0085\u180e\u200b"
          "\ufeff\t")
EMOJI = ["👩\u200d👩\u200d👧\u200d👦", "🏳\ufe0f\u200d🌈", "👍🏽", "❤\ufe0f", "🇩🇪🇯🇵", "🙂", "🤖",
         "#\ufe0f\u20e3"]
DIGITS = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９", "²³¹½¾Ⅷⅻ①⑳〇"]
CODE = [
    "for (int i = 0; i < n; i++) {\n\tx[i] += 1.5e-3;\n}",
    "def f(a, *b):\n    return {**a, 'k': b}",
    "#include <stdio.h>\r\n", "SELECT * FROM t WHERE a>=10 AND b!='x';",
    "<a href=\"/x?y=1&amp;z\">", "https://example.org/päth/%E2%82%AC?q=1&r=a+b#frag",
    "me@example.com", "C:\\dir\\file.txt", "----------", "==========", "!?!?...", "«»„“”‘’–—…",
    "it's I'LL we'Re they'd 'S it'\u017f can’t", "``` `code` ```", "{{{[[[((()))]]]}}}",
    "x²+y²=z²", "a\u0300\u0301\u0302\u0316b", "\u0344\u0374\u037e",
]
TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<mask>", "word", "<a b>", "<|tool|>",
          "ǎǒ", "a\u030co\u030c", "ǔǐ", "u\u030ci\u030c", "<|im_start|>system"]


class Text:
    """Lines that mix scripts, spaces, digits, emoji, code and the spelling of added tokens."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.words = {s: [self._word(s) for _ in range(300)] for s in SCRIPTS}

    def _word(self, script):
        letters, marks = SCRIPTS[script]
        out = ""
        for _ in range(self.r.randint(1, 9)):
            out += self.r.choice(letters)
            if marks and self.r.random() < 0.15:
                out += "".join(self.r.choice(marks) for _ in range(self.r.randint(1, 3)))
        case = self.r.random()
        return out.upper() if case < 0.08 else out.capitalize() if case < 0.25 else out

    def word(self):
        script = self.r.choice(["ascii", "ascii", "ascii", "latin"] + list(SCRIPTS))
        words = self.words[script]
        return words[min(int(self.r.paretovariate(0.8)) - 1, len(words) - 1)]  # some far likelier

    def piece(self):
        kind = self.r.random()
        if kind < 0.62:
            return self.word()
        if kind < 0.72:
            return "".join(self.r.choice(self.r.choice(DIGITS[:4]))
                           for _ in range(self.r.randint(1, 7)))
        if kind < 0.75:
            return "".join(self.r.choice(DIGITS[4]) for _ in range(self.r.randint(1, 3)))
        if kind < 0.80:
            return self.r.choice(EMOJI)
        if kind < 0.88:
            return self.r.choice(CODE)
        if kind < 0.93:
            return self.r.choice(TOKENS)
        if kind < 0.95:
            return chr(self.r.choice([*range(0x20), *range(0x7f, 0xa0)]))
        if kind < 0.97:
            return self.r.choice("aA0 .\n") * self.r.randint(2, 70)
        return self.any_assigned()

    def any_assigned(self):
        while True:
            c = chr(self.r.randrange(0x11000))
            if unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Cs", "Co"):
                return c  # assigned in Unicode 3.2: in every table

    def gap(self):
        kind = self.r.random()
        if kind < 0.70:
            return " "
        if kind < 0.78:
            return ""
        if kind < 0.84:
            return self.r.choice([", ", ". ", "! ", ": ", "-", "_", "/", "' "])
        if kind < 0.90:
            return self.r.choice(["\n", "\n\n", "\r\n", " \n ", "\t\t", "\n    "])
        return "".join(self.r.choice(SPACES) for _ in range(self.r.randint(1, 4)))

    def line(self, pieces=14):
        out = ""
        for _ in range(self.r.randint(0, pieces)):
            out += self.piece() + self.gap()
        return out


# --- tokenizers ---

def byte_level(use_regex, prefix=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=use_regex)


def split(pattern, behavior="isolated"):
    return pre_tokenizers.Split(Regex(pattern), behavior)


def shape(family):
    """An untrained tokenizer of the family."""
    t = Tokenizer(models.BPE(ignore_merges=family == "llama3"))
    if family == "gpt2":
        t.pre_tokenizer = byte_level(True)
    else:
        pattern = LLAMA3 if family == "llama3" else QWEN2
        t.pre_tokenizer = pre_tokenizers.Sequence([split(pattern), byte_level(False)])
    if family == "qwen2":
        t.normalizer = normalizers.NFC()
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    return t


def train(t, corpus, vocab_size, special, first=None):
    t.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    if first:
        template = processors.TemplateProcessing(
            single=f"{first} $A", pair=f"{first} $A {first}:1 $B:1",
            special_tokens=[(first, t.token_to_id(first))])
        t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), template])
    return t


def add_odd_tokens(t):
    t.add_special_tokens([
        AddedToken("<|im_start|>", normalized=False),
        AddedToken("<|im_end|>", normalized=False),
        AddedToken("<mask>", lstrip=True, rstrip=True, normalized=False)])
    t.add_tokens([
        AddedToken("word", single_word=True, normalized=False),
        AddedToken("<a b>", normalized=True),
        AddedToken("<|im_start|>system", normalized=False),
        AddedToken("ǎǒ", normalized=False),  # not where the normal form makes it
        AddedToken("ǔǐ", normalized=True),
        AddedToken("<|tool|>", rstrip=True)])


def variants(corpus):
    """name: a tokenizer; together they use every option that the C side supports."""
    special = ["<|endoftext|>", "<|begin|>"]
    out = {}
    for family in ("gpt2", "llama3", "qwen2"):
        first = "<|begin|>" if family == "llama3" else None
        out[family] = train(shape(family), corpus, 2000, special, first)
        t = out[family + "-added"] = train(shape(family), corpus, 700, special, first)
        add_odd_tokens(t)
    t = shape("gpt2")
    t.pre_tokenizer = byte_level(True, prefix=True)
    out["prefix-space"] = train(t, corpus, 900, special)
    add_odd_tokens(t)
    t = shape("gpt2")
    t.pre_tokenizer = pre_tokenizers.Sequence([split(r"\p{P}"), byte_level(False, prefix=True)])
    out["prefix-each-piece"] = train(t, corpus, 600, special)
    for individual in (False, True):
        t = shape("gpt2")
        digits = pre_tokenizers.Digits(individual)
        t.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level(True)])
        out[f"digits-{individual}"] = train(t, corpus, 800, special)
    t = shape("gpt2")
    t.pre_tokenizer = pre_tokenizers.Sequence([split(r"\s+", "removed"), byte_level(False)])
    out["removed"] = train(t, corpus, 800, special)
    t = shape("gpt2")  # DeepSeek's kind of sequence
    t.pre_tokenizer = pre_tokenizers.Sequence([
        split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"),
        split(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
              r"""|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"""
              r"""|\s*[\r\n]+|\s+(?!\S)|\s+"""), byte_level(False)])
    out["sequence"] = train(t, corpus, 800, special)
    for form in ("NFD", "NFKC", "NFKD"):
        t = shape("gpt2")
        t.normalizer = getattr(normalizers, form)()
        out[form] = train(t, corpus, 700, special)
        add_odd_tokens(t)
    t = shape("gpt2")
    t.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.NFC()])
    out["two-forms"] = train(t, corpus, 700, special)
    return out


def with_old_merges(text):
    """The file as versions before 0.20 wrote it: merges as "a b", no type."""
    file = json.loads(text)
    file["model"]["merges"] = [" ".join(m) for m in file["model"]["merges"]]
    del file["model"]["type"]
    return json.dumps(file, ensure_ascii=True)


def without_some_merges(text):
    """Words that are tokens but that merges cannot make: what ignore_merges is about."""
    file = json.loads(text)
    file["model"]["merges"] = file["model"]["merges"][:-400]
    return json.dumps(file, ensure_ascii=False)


def alphabet():
    """GPT-2's bytes_to_unicode, turned round."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in keep]
    return {chr(b): b for b in keep} | {chr(256 + i): b for i, b in enumerate(rest)}


def bytes_of(t):
    """What every id stands for, as hexadecimal."""
    table, out = alphabet(), []
    in_model = json.loads(t.to_str())["model"]["vocab"]
    for i in range(t.get_vocab_size()):
        content = t.id_to_token(i)
        known = content in in_model and all(c in table for c in content)
        out.append((bytes(table[c] for c in content) if known else content.encode()).hex())
    return out


# --- files ---

def write(folder, name, value):
    os.makedirs(folder, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False,
                                                           separators=(",", ":"))
    with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as f:
        f.write(text + "\n")


def answers(t, lines):
    plain = [e.ids for e in t.encode_batch(lines, add_special_tokens=False)]
    special = [e.ids for e in t.encode_batch(lines, add_special_tokens=True)]
    around = [ids[:len(ids) - len(p)] for ids, p in zip(special, plain)]
    assert all(a == around[0] and a + p == s for a, p, s in zip(around, plain, special))
    t.encode_special_tokens = True
    untrusted = [e.ids for e in t.encode_batch(lines, add_special_tokens=False)]
    t.encode_special_tokens = False
    return {"plain": plain, "before": around[0], "untrusted": untrusted,
            "text": [t.decode(ids, skip_special_tokens=False) for ids in plain],
            "skipped": [t.decode(ids, skip_special_tokens=True) for ids in plain[:200]]}


def make(folder, seed, n_lines):
    source = Text(seed)
    corpus = [source.line() for _ in range(3000)]
    lines = [source.line() for _ in range(n_lines)]
    files = {name: t.to_str(pretty=True) for name, t in variants(corpus).items()}
    files["old-merges"] = with_old_merges(files["gpt2-added"])
    files["ignore-merges"] = without_some_merges(files["llama3"])
    write(folder, "lines.json", lines)
    for name, text in files.items():
        t = Tokenizer.from_str(text)
        write(os.path.join(folder, name), "tokenizer.json", text)
        write(os.path.join(folder, name), "answers.json",
              answers(t, lines) | {"bytes": bytes_of(t)})

    r = random.Random(seed + 1)
    runs = ["".join(r.choice("ab") * r.randint(1, 12) for _ in range(r.randint(1, 6)))
            for _ in range(2000)]
    spaces = ["".join(r.choice(["\n", " ", "\t", "x"]) * r.randint(1, 40) for _ in range(4))
              for _ in range(500)]
    corpora = {"corpus": (corpus, 3000), "runs": (runs, 900), "spaces": (spaces, 600)}
    trainings = []
    for family in ("gpt2", "llama3", "qwen2"):
        for name, (texts, size) in corpora.items():
            first = "<|begin|>" if family == "llama3" else None
            special = ["<|endoftext|>", "<|begin|>"] if name == "corpus" else ["<|begin|>"]
            t = train(shape(family), texts, size, special, first)
            path = f"train-{family}-{name}"
            write(os.path.join(folder, path), "tokenizer.json", t.to_str(pretty=True))
            write(os.path.join(folder, path), "answers.json", answers(t, lines))
            trainings.append({"name": path, "family": family, "corpus": name + ".json",
                              "vocab_size": size, "special": special, "first": first})
    for name, (texts, _) in corpora.items():
        write(folder, name + ".json", texts)
    write(folder, "cases.json", {"load": list(files), "train": trainings})
    print(f"{len(files)} tokenizers, {len(trainings)} trainings, {n_lines} lines in {folder}")


def check(folder):
    with open(os.path.join(folder, "lines.json"), encoding="utf-8", newline="") as f:
        lines = json.load(f)
    with open(os.path.join(folder, "cases.json"), encoding="utf-8") as f:
        cases = json.load(f)["train"]
    bad = 0
    for case in cases:
        path = os.path.join(folder, case["name"])
        ours = Tokenizer.from_file(os.path.join(path, "trained.json"))
        theirs = Tokenizer.from_file(os.path.join(path, "tokenizer.json"))
        same = json.loads(ours.to_str())["model"] == json.loads(theirs.to_str())["model"]
        pairs = zip(answers(ours, lines)["plain"], answers(theirs, lines)["plain"], strict=True)
        differing = sum(a != b for a, b in pairs)
        first = ours.encode("x").ids == theirs.encode("x").ids
        print(f"{case['name']}: {differing} of {len(lines)} lines differ, "
              f"model {'same' if same else 'DIFFERS'}")
        bad += bool(differing) or not same or not first
    return 1 if bad else 0


def fixture(folder, seed):
    source = Text(seed)
    lines = [source.line(12) for _ in range(60)]
    lines += ["", " ", "word <mask>  words", "a<|im_start|>b <|im_end|>", "\u1820\u180e\u1820",
              "ǎǒ a\u030co\u030c ǔǐ u\u030ci\u030c", "e\u0301 é"]
    write(folder, "tokenizer_lines.json", lines)
    for family in ("gpt2", "llama3", "qwen2"):
        first = "<|begin|>" if family == "llama3" else None
        t = train(shape(family), lines, 500, ["<|endoftext|>", "<|begin|>"], first)
        add_odd_tokens(t)
        write(folder, f"tokenizer_{family}.json", t.to_str(pretty=False))
        a = answers(t, lines)
        write(folder, f"tokenizer_{family}_ids.json", {"plain": a["plain"], "before": a["before"],
                                                           "untrusted": a["untrusted"]})


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--lines", type=int, default=10000)
    p.add_argument("--check", action="store_true")
    p.add_argument("--fixture", action="store_true")
    a = p.parse_args()
    if a.check:
        return check(a.folder)
    if a.fixture:
        fixture(a.folder, a.seed)
    else:
        make(a.folder, a.seed, a.lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
