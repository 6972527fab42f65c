"""The modules of this package that a function needs, as a zip archive that is sent to workers."""

import functools
import hashlib
import io
import zipfile

from pipeline.numerics import sources

PACKAGES = ("distributed", "numpy", "numba", "llvmlite")  # their versions must be equal on all computers


@functools.cache
def package_of(module: str) -> tuple[bytes, str]:
    """A zip archive of the source files that the module with this dotted name imports, and its SHA-256 in hexadecimal.

    The entries are dated 1980: the archive depends on the sources only. Raises ModuleNotFoundError if the package has
    no such module.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(sources.import_closure(module)):
            name = path.relative_to(sources.PACKAGE.parent).as_posix()
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes(), zipfile.ZIP_DEFLATED)
    content = buffer.getvalue()
    return content, hashlib.sha256(content).hexdigest()
