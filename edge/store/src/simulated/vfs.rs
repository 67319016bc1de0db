//! The VFS layer, in SQLite's C interface (<https://sqlite.org/vfs.html>).
//!
//! Each file is a [`VfsFile`], followed in the same allocation by the file of the system's VFS, to which calls are
//! forwarded.

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int},
    mem::size_of,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    ptr,
    sync::OnceLock,
};

use rusqlite::ffi;

use super::{
    disk_state::{CallOutcome, SharedDisk},
    vfs_file::{METHODS, VfsFile},
};
use crate::StoreError;

/// The system's VFS.
#[derive(Clone, Copy)]
struct SystemVfs(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite's VFS objects are registered for the lifetime of the process, are not changed afterwards, and may be
// called from any thread (<https://sqlite.org/c3ref/vfs.html>); the pointer is only read through.
unsafe impl Send for SystemVfs {}
// SAFETY: as above.
unsafe impl Sync for SystemVfs {}

fn system_vfs() -> Option<SystemVfs> {
    static SYSTEM: OnceLock<Option<SystemVfs>> = OnceLock::new();
    *SYSTEM.get_or_init(|| {
        // SAFETY: a null name requests the default VFS; SQLite initialises itself in this call.
        let found = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        (!found.is_null()).then_some(SystemVfs(found))
    })
}

/// A VFS that is registered until this is dropped. The object is leaked, because connections may still use it.
#[derive(Debug)]
pub(super) struct RegisteredVfs(*mut ffi::sqlite3_vfs);

// SAFETY: the object behind the pointer is leaked and not changed after registration, and SQLite protects its own list
// with a mutex.
unsafe impl Send for RegisteredVfs {}
// SAFETY: as above; a shared reference only compares the pointer.
unsafe impl Sync for RegisteredVfs {}

impl RegisteredVfs {
    pub(super) fn new(name: &str, disk: &'static SharedDisk) -> Result<Self, StoreError> {
        let error = |why: &str| StoreError::InvalidStatement(format!("the VFS {name:?} cannot be registered: {why}"));
        let system = system_vfs().ok_or_else(|| error("there is no default VFS"))?;
        let name: &'static CStr =
            Box::leak(CString::new(name).map_err(|_| error("its name contains a NUL"))?.into_boxed_c_str());
        // SAFETY: the system's VFS exists for the lifetime of the process.
        let (size, max_path) = unsafe { ((*system.0).szOsFile, (*system.0).mxPathname) };
        let own_size = c_int::try_from(size_of::<VfsFile>()).map_err(|_| error("a file is too large"))?;
        let vfs = Box::leak(Box::new(ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: own_size + size,
            mxPathname: max_path,
            pNext: ptr::null_mut(),
            zName: name.as_ptr(),
            pAppData: ptr::from_ref(disk).cast_mut().cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_path),
            // No library is loaded.
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(time),
            xGetLastError: None,
            xCurrentTimeInt64: Some(time_int),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        }));
        let vfs: *mut ffi::sqlite3_vfs = vfs;
        // SAFETY: the object is complete, and this module never frees or changes it.
        match unsafe { ffi::sqlite3_vfs_register(vfs, 0) } {
            ffi::SQLITE_OK => Ok(Self(vfs)),
            code => Err(error(&format!("code {code}"))),
        }
    }

    pub(super) fn is_registered(&self) -> bool {
        // SAFETY: the name is a C string that is never freed.
        unsafe { ffi::sqlite3_vfs_find((*self.0).zName) == self.0 }
    }
}

impl Drop for RegisteredVfs {
    fn drop(&mut self) {
        // SAFETY: it was registered by `new`; SQLite only removes it from its list.
        unsafe { ffi::sqlite3_vfs_unregister(self.0) };
    }
}

/// The disk of a VFS of this module.
///
/// # Safety
/// `vfs` must be one that [`RegisteredVfs::new`] made.
unsafe fn disk_of(vfs: *mut ffi::sqlite3_vfs) -> &'static SharedDisk {
    // SAFETY: `new` stores a leaked disk there.
    unsafe { &*(*vfs).pAppData.cast::<SharedDisk>() }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with the VFS that it was registered with.
    let disk = unsafe { disk_of(vfs) };
    let (verdict, life, read_only) = {
        let mut state = disk.lock();
        (state.on_open(), state.process_epoch, state.read_only)
    };
    // SAFETY: SQLite passes `szOsFile` bytes, aligned to 8 as all its allocations are. SQLite does not close a file
    // without methods.
    unsafe { (*file).pMethods = ptr::null() };
    if let CallOutcome::Fail(code) = verdict {
        return code;
    }
    let mut flags = flags;
    if read_only && flags & ffi::SQLITE_OPEN_READWRITE != 0 {
        // The system's VFS does the same on a read-only file system.
        if flags & ffi::SQLITE_OPEN_MAIN_DB == 0 {
            return ffi::SQLITE_CANTOPEN;
        }
        flags &= !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE);
        flags |= ffi::SQLITE_OPEN_READONLY;
    }
    let Some(SystemVfs(system)) = system_vfs() else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: there is room for the system's file behind this module's file; see `szOsFile`.
    let real: *mut ffi::sqlite3_file = unsafe { file.cast::<VfsFile>().add(1).cast() };
    // SAFETY: the system's VFS gets itself, its own file, and the arguments that SQLite passed.
    let code = unsafe {
        (*real).pMethods = ptr::null();
        match (*system).xOpen {
            Some(open) => open(system, name, real, flags, out_flags),
            None => ffi::SQLITE_CANTOPEN,
        }
    };
    // SAFETY: the system's VFS set the methods, or left them null.
    if code == ffi::SQLITE_OK && !unsafe { (*real).pMethods }.is_null() {
        let number = {
            let mut state = disk.lock();
            let number = state.calls.opens;
            if !name.is_null() {
                // SAFETY: SQLite passes a C string, or null for a temporary file.
                let path = unsafe { CStr::from_ptr(name) };
                state.files.insert(number, PathBuf::from(OsStr::from_bytes(path.to_bytes())));
            }
            number
        };
        let base = ffi::sqlite3_file { pMethods: &raw const METHODS };
        // SAFETY: there is room for a `VfsFile`, which contains no value that needs dropping.
        unsafe { file.cast::<VfsFile>().write(VfsFile { base, disk, process_epoch: life, number }) };
    }
    code
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite calls this with the VFS that it was registered with.
    let disk = unsafe { disk_of(vfs) };
    if let CallOutcome::Fail(code) = disk.lock().on_delete() {
        return code;
    }
    let _ = sync;
    if !name.is_null() {
        // SAFETY: SQLite passes a C string.
        let path = unsafe { CStr::from_ptr(name) };
        disk.lock().on_deleted(Path::new(OsStr::from_bytes(path.to_bytes())));
    }
    match system_vfs() {
        // SAFETY: the system's VFS gets itself and the name. The folder is not synced.
        Some(SystemVfs(system)) => unsafe {
            (*system).xDelete.map_or(ffi::SQLITE_IOERR_DELETE, |delete| delete(system, name, 0))
        },
        None => ffi::SQLITE_IOERR_DELETE,
    }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with the VFS that it was registered with.
    if unsafe { disk_of(vfs) }.lock().dead {
        return ffi::SQLITE_IOERR_ACCESS;
    }
    match system_vfs() {
        // SAFETY: the system's VFS gets itself and what SQLite gave.
        Some(SystemVfs(system)) => unsafe {
            (*system).xAccess.map_or(ffi::SQLITE_IOERR_ACCESS, |access| access(system, name, flags, result))
        },
        None => ffi::SQLITE_IOERR_ACCESS,
    }
}

unsafe extern "C" fn full_path(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    match system_vfs() {
        // SAFETY: the system's VFS gets itself and the arguments that SQLite passed; both have the same maximum path
        // length.
        Some(SystemVfs(system)) => unsafe {
            (*system).xFullPathname.map_or(ffi::SQLITE_CANTOPEN, |path| path(system, name, length, out))
        },
        None => ffi::SQLITE_CANTOPEN,
    }
}

unsafe extern "C" fn randomness(_vfs: *mut ffi::sqlite3_vfs, length: c_int, out: *mut c_char) -> c_int {
    match system_vfs() {
        // SAFETY: the system's VFS gets itself and what SQLite gave.
        Some(SystemVfs(system)) => unsafe { (*system).xRandomness.map_or(0, |random| random(system, length, out)) },
        None => 0,
    }
}

/// Returns at once: a simulation has no other thread to wait for.
unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

unsafe extern "C" fn time(_vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    match system_vfs() {
        // SAFETY: the system's VFS gets itself and what SQLite gave.
        Some(SystemVfs(system)) => unsafe {
            (*system).xCurrentTime.map_or(ffi::SQLITE_ERROR, |time| time(system, out))
        },
        None => ffi::SQLITE_ERROR,
    }
}

unsafe extern "C" fn time_int(_vfs: *mut ffi::sqlite3_vfs, out: *mut ffi::sqlite3_int64) -> c_int {
    match system_vfs() {
        // SAFETY: the system's VFS gets itself and the arguments that SQLite passed; the unix VFS has version 2 or
        // later.
        Some(SystemVfs(system)) => unsafe {
            (*system).xCurrentTimeInt64.map_or(ffi::SQLITE_ERROR, |time| time(system, out))
        },
        None => ffi::SQLITE_ERROR,
    }
}
