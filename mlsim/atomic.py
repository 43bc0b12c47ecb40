"""Files that are either wholly there or not there at all.

A file is written under a temporary name in the same folder, flushed to the disk and renamed. A reader, or the
next run after `kill -9`, a power cut or a full disk, sees the old file or the new one, never a half of one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mlsim.errors import DataError

__all__ = ["atomic_path", "atomic_write_bytes", "atomic_write_text", "remove_leftovers"]

_MARK = ".part-"
_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EACCES: "permission denied; choose another folder or mend its permissions",
    errno.EPERM: "permission denied; choose another folder or mend its permissions",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EISDIR: "that is a folder; name a file",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, flush it to disk and rename it to `path`.

    Missing parent folders are made. When the block raises, the temporary file is removed and `path` is untouched.
    The temporary name keeps the suffix of `path`, for writers that choose the format by it.

    Parameters
    ----------
    path
        The file that should be there in the end; one that exists is replaced in one step.

    Raises
    ------
    DataError
        When the disk is full or the folder cannot be written: one line with the path and what to do.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        temporary = _temporary_beside(target)
        yield temporary
        _flush(temporary)
        temporary.replace(target)
        temporary = None
        _flush(target.parent)
    except OSError as error:
        if _elsewhere(target, error):
            raise
        raise _readable(target, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def atomic_write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` in one step; see `atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def atomic_write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` in one step, UTF-8, with line ends as given; see `atomic_path`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     atomic_write_text(pathlib.Path(folder) / "a.txt", "Zr–O 2.07 Å")
    ...     (pathlib.Path(folder) / "a.txt").read_text(encoding="utf-8")
    'Zr–O 2.07 Å'
    """
    atomic_write_bytes(path, text.encode("utf-8"))


def remove_leftovers(directory: str | os.PathLike[str], name: str = "*") -> int:
    """Remove temporary files that a killed run left directly in `directory`; return how many there were.

    Only for files that no other process writes at the same time: `name` limits it to those of one file.
    """
    stem, suffix = Path(name).stem, Path(name).suffix
    leftovers = [path for path in Path(directory).glob(f".{stem}{_MARK}*{suffix}") if path.is_file()]
    for path in leftovers:
        with contextlib.suppress(OSError):
            path.unlink()
    return len(leftovers)


def _temporary_beside(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    handle, name = tempfile.mkstemp(prefix=f".{target.stem[:100]}{_MARK}", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    mask = os.umask(0)
    os.umask(mask)
    Path(name).chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~mask)
    return Path(name)


def _flush(path: Path) -> None:
    """Force what the system holds of a file or a folder to the disk."""
    if path.is_dir():
        with contextlib.suppress(OSError):  # not every system lets a folder be flushed
            _sync(path, os.O_RDONLY)
    else:
        _sync(path, os.O_RDWR)


def _sync(path: Path, mode: int) -> None:
    handle = os.open(path, mode)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _elsewhere(target: Path, error: OSError) -> bool:
    """True for an error of the caller's own about a file in another folder, which says nothing of `target`."""
    if not isinstance(error.filename, str | bytes | os.PathLike):
        return False
    folder = Path(os.fsdecode(error.filename)).parent
    return folder != target.parent and folder not in target.parents and target not in (folder, *folder.parents)


def _readable(target: Path, error: OSError) -> DataError:
    code = error.errno or (errno.ENOSPC if "No space left" in str(error) else 0)
    return DataError(f"{target}: cannot be written: {_ADVICE.get(code, error.strerror or str(error))}")
