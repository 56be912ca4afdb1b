"""The algorithms by name. A new adapter is one file and one line in ALGORITHMS.

Others register in their own package, under the entry-point group `annbench.algorithms`, or are named in a
config as `path/file.py:Class`, relative to the config. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType

from annbench.algorithms.base import Algorithm
from annbench.errors import ConfigError, MissingLibraryError, UnknownNameError

ALGORITHMS: dict[str, str] = {
    "bruteforce": "annbench.algorithms.bruteforce:BruteForce",
    "composed": "annbench.algorithms.composed:Composed",
    "faiss-binary-flat": "annbench.algorithms.faiss.binary_flat:FaissBinaryFlat",
    "faiss-binary-hnsw": "annbench.algorithms.faiss.binary_hnsw:FaissBinaryHnsw",
    "faiss-binary-ivf": "annbench.algorithms.faiss.binary_ivf:FaissBinaryIvf",
    "faiss-factory": "annbench.algorithms.faiss.factory:FaissFactory",
    "faiss-flat": "annbench.algorithms.faiss.flat:FaissFlat",
    "faiss-hnsw": "annbench.algorithms.faiss.hnsw:FaissHnsw",
    "faiss-ivf": "annbench.algorithms.faiss.ivf:FaissIvf",
    "faiss-rabitq-fastscan": "annbench.algorithms.faiss.ivf_rabitq:FaissIvfRabitq",
    "faiss-lsh": "annbench.algorithms.faiss.lsh:FaissLsh",
    "faiss-nsg": "annbench.algorithms.faiss.nsg:FaissNsg",
    "faiss-rabitq": "annbench.algorithms.faiss.rabitq:FaissRabitq",
    "hamming-flat": "annbench.algorithms.hamming_flat:HammingFlat",
    "hnswlib": "annbench.algorithms.hnswlib:Hnswlib",
    "null": "annbench.algorithms.null:Null",
    "pyglass": "annbench.algorithms.pyglass:Pyglass",
    "rabitqlib-hnsw": "annbench.algorithms.rabitqlib.hnsw:RabitqlibHnsw",
    "rabitqlib-ivf": "annbench.algorithms.rabitqlib.ivf:RabitqlibIvf",
    "rabitqlib-symqg": "annbench.algorithms.rabitqlib.symqg:RabitqlibSymqg",
    "scann": "annbench.algorithms.scann:Scann",
    "svs-vamana": "annbench.algorithms.svs:SvsVamana",
    "turbovec": "annbench.algorithms.turbovec:Turbovec",
}
ENTRY_POINTS = "annbench.algorithms"


@dataclass(frozen=True)
class LoadedAlgorithm:
    """An algorithm's class and what identifies its code.

    `name` is the registered name, or the class name for a file. `source_sha256` is of that file's bytes.
    `library_versions` maps distributions to their installed versions.
    """

    cls: type[Algorithm]
    name: str
    source_sha256: str | None = None
    library_versions: dict[str, str] = field(default_factory=dict)


def names() -> list[str]:
    """All registered names, entry points included."""
    return sorted({*ALGORITHMS, *(point.name for point in metadata.entry_points(group=ENTRY_POINTS))})


def load_algorithm(spec: str, base_dir: Path) -> LoadedAlgorithm:
    """Find the class that `spec` means: a registered name, an entry point, or `file.py:Class` below
    `base_dir`.

    Raises UnknownNameError, ConfigError for a file or class that cannot be used, and MissingLibraryError.
    """
    source = None
    if ".py:" in spec or "/" in spec:
        cls, source = _from_file(spec, base_dir)
        name = spec.rpartition(":")[2]
    else:
        cls, name = _registered(spec), spec
    return LoadedAlgorithm(_checked(cls, spec), name, source, _versions(cls))


def _registered(name: str) -> type[Algorithm]:
    # A built-in name cannot be taken over by an installed package: results would change under it.
    target = ALGORITHMS.get(name)
    if target is None:
        points = metadata.entry_points(group=ENTRY_POINTS, name=name)
        if not points:
            raise UnknownNameError("algorithm", name, names(), remedy="(an adapter of your own is path/file.py:Class)")
        target = next(iter(points)).value
    module_name, _, class_name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise _missing(error.name or module_name, name) from error
    return _member(module, class_name, name)


def _from_file(spec: str, base_dir: Path) -> tuple[type[Algorithm], str]:
    file_name, colon, class_name = spec.rpartition(":")
    if not colon or not class_name.isidentifier() or not file_name.endswith(".py"):
        raise ConfigError(f"algorithm {spec!r} is not understood", remedy="write it as path/file.py:Class")
    path = (base_dir / file_name).resolve()
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(
            f"cannot read the algorithm's file: {error.strerror}",
            where=str(path),
            remedy="the path is relative to the config's folder",
        ) from error
    return _member(_import_file(path, digest), class_name, str(path)), digest


def _import_file(path: Path, digest: str) -> ModuleType:
    name = f"annbench_file_{path.stem}_{digest[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    # pydantic resolves annotations through sys.modules.
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except ModuleNotFoundError as error:
        del sys.modules[name]
        raise _missing(error.name or "a module", str(path)) from error
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(
            f"{type(error).__name__}: {error}",
            where=f"{path}:{_line(error, path)}",
            remedy="correct the file",
        ) from error
    return module


def _line(error: Exception, path: Path) -> int:
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno or 0 for f in reversed(frames) if f.filename == str(path)), 0)


def _member(module: ModuleType, class_name: str, where: str) -> type[Algorithm]:
    found = getattr(module, class_name, None)
    if found is None:
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        raise UnknownNameError("class", class_name, classes, where=where)
    if not (isinstance(found, type) and issubclass(found, Algorithm)):
        raise ConfigError(
            f"{class_name} is not an Algorithm",
            where=where,
            remedy="derive it from annbench.algorithms.base.Algorithm",
        )
    return found


def _checked(cls: type[Algorithm], spec: str) -> type[Algorithm]:
    if not cls.metrics:
        raise ConfigError(
            f"{cls.__name__} names no metrics", where=spec, remedy='set metrics = frozenset({"euclidean"})'
        )
    return cls


def _versions(cls: type[Algorithm]) -> dict[str, str]:
    versions = {}
    for distribution in cls.distributions:
        try:
            versions[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError as error:
            raise _missing(distribution, cls.__name__, " ".join(cls.distributions)) from error
    return versions


def _missing(library: str, where: str, packages: str = "") -> MissingLibraryError:
    return MissingLibraryError(library, f"{sys.executable} -m pip install {packages or library}", where=where)
