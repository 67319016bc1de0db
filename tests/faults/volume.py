"""A small file system, mounted for a test, that can be filled, made read-only and frozen. Requires root on Linux."""

import atexit
import errno
import os
import subprocess
import tempfile
from pathlib import Path


def can_mount(kind):
    """None, or the reason why this kind of volume cannot be mounted here."""
    if os.geteuid() != 0:
        return "mounting requires root"
    try:
        volume = Volume(kind, 16)
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", None) or error
        return f"{kind} cannot be mounted here: {detail}"
    volume.close()
    return None


def _run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True)


class Volume:
    """A volume of `megabytes`. `kind` is tmpfs, or ext4 in a file with a loop device."""

    def __init__(self, kind, megabytes):
        self.kind = kind
        self.folder = Path(tempfile.mkdtemp(prefix="wheeltapper-volume-"))
        self.mount = self.folder / "mount"
        self.mount.mkdir()
        self.image = self.folder / "image"
        self.frozen = False
        self.mounted = False
        self.immutable = []
        atexit.register(self.close)
        if kind == "tmpfs":
            _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(self.mount))
        else:
            with open(self.image, "wb") as image:
                image.truncate(megabytes << 20)
            _run("mkfs.ext4", "-q", "-m", "0", str(self.image))
            _run("mount", "-o", "loop", str(self.image), str(self.mount))
        self.mounted = True

    @property
    def data(self):
        """The folder for the host's data."""
        return self.mount / "data"

    def free(self):
        """Free bytes."""
        found = os.statvfs(self.mount)
        return found.f_bavail * found.f_frsize

    def fill(self, leave=0):
        """Fills the volume except for `leave` bytes."""
        with open(self.mount / "ballast", "ab", buffering=0) as ballast:
            chunk = b"\xa5" * (256 << 10)
            try:
                while self.free() > leave:
                    ballast.write(chunk[: max(min(len(chunk), self.free() - leave), 4096)])
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def empty(self):
        """Deletes the file that fills the volume."""
        (self.mount / "ballast").unlink(missing_ok=True)

    def read_only(self):
        """Makes the volume read-only; returns the method.

        The kernel rejects a remount while files are open for writing, as they are by the host. In that case all files
        and folders are marked immutable, which ext4 enforces on open files as well (EPERM instead of EROFS). SQLite's
        shared memory stays writable: a write to an immutable mapping causes SIGBUS, which a read-only remount does not.
        """
        if _run("mount", "-o", "remount,ro", str(self.mount), check=False).returncode == 0:
            return "remount,ro"
        paths = [self.data, *self.data.rglob("*")]
        self.immutable = [str(path) for path in paths if not path.name.endswith("-shm") and not path.is_symlink()]
        # A file deleted meanwhile is not an error.
        _run("chattr", "+i", *self.immutable, check=False)
        return "chattr +i (a remount is rejected while files are open for writing)"

    def writable(self):
        """Undoes `read_only`."""
        if self.immutable:
            paths = [str(path) for path in [self.data, *self.data.rglob("*")]]
            _run("chattr", "-i", *paths, check=False)
            self.immutable = []
        else:
            _run("mount", "-o", "remount,rw", str(self.mount))

    def freeze(self):
        """Blocks all writes, like a hanging disk."""
        _run("fsfreeze", "-f", str(self.mount))
        self.frozen = True

    def thaw(self):
        """Undoes `freeze`."""
        if self.frozen:
            self.frozen = False
            _run("fsfreeze", "-u", str(self.mount), check=False)

    def close(self):
        """Unmounts the volume, after the host has stopped. Also runs if the script fails."""
        if not self.mounted:
            return
        self.thaw()
        if self.immutable:
            self.writable()
        if _run("umount", str(self.mount), check=False).returncode != 0:
            _run("umount", "-l", str(self.mount), check=False)
        self.mounted = False
        self.image.unlink(missing_ok=True)
        try:
            self.mount.rmdir()
            self.folder.rmdir()
        except OSError:
            pass
