//! The layer itself, in SQLite's C interface (<https://sqlite.org/vfs.html>).
//!
//! Each file is ours, [`File`], followed in the same allocation by the file of the system's VFS, to which calls go on.

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int, c_void},
    mem::{align_of, size_of},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    ptr,
    sync::OnceLock,
};

use rusqlite::ffi;

use super::{Disk, Overwritten, Verdict};
use crate::StoreError;

/// A file of ours. The system's file lies behind it, so that its size is a multiple of SQLite's alignment, 8.
#[repr(C)]
struct File {
    /// What SQLite sees; has to be the first.
    base: ffi::sqlite3_file,
    disk: &'static Disk,
    /// The process that opened it.
    life: u64,
    /// Among the files that were opened.
    number: u64,
}

const _: () = assert!(size_of::<File>().is_multiple_of(8) && align_of::<File>() <= 8);

/// The system's VFS.
#[derive(Clone, Copy)]
struct System(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite's VFS objects are registered for the life of the process, are not changed after, and may be called from
// any thread (<https://sqlite.org/c3ref/vfs.html>); the pointer is only read through.
unsafe impl Send for System {}
// SAFETY: as above.
unsafe impl Sync for System {}

fn system() -> Option<System> {
    static SYSTEM: OnceLock<Option<System>> = OnceLock::new();
    *SYSTEM.get_or_init(|| {
        // SAFETY: a null name asks for the default; SQLite initialises itself in this call.
        let found = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        (!found.is_null()).then_some(System(found))
    })
}

/// A VFS that SQLite knows until this is dropped. What it points to is leaked, as connections may still use it.
#[derive(Debug)]
pub(super) struct Registered(*mut ffi::sqlite3_vfs);

// SAFETY: the object that it points to is leaked and not changed after it was registered, and SQLite takes care of its own
// list by a mutex.
unsafe impl Send for Registered {}
// SAFETY: as above; a shared reference only compares the pointer.
unsafe impl Sync for Registered {}

impl Registered {
    pub(super) fn new(name: &str, disk: &'static Disk) -> Result<Self, StoreError> {
        let refused = |why: &str| StoreError::Statement(format!("the VFS {name:?} cannot be registered: {why}"));
        let system = system().ok_or_else(|| refused("there is no other"))?;
        let name: &'static CStr =
            Box::leak(CString::new(name).map_err(|_| refused("its name has a NUL"))?.into_boxed_c_str());
        // SAFETY: the system's VFS is there for the life of the process.
        let (size, longest) = unsafe { ((*system.0).szOsFile, (*system.0).mxPathname) };
        let own = c_int::try_from(size_of::<File>()).map_err(|_| refused("a file is too large"))?;
        let vfs = Box::leak(Box::new(ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: own + size,
            mxPathname: longest,
            pNext: ptr::null_mut(),
            zName: name.as_ptr(),
            pAppData: ptr::from_ref(disk).cast_mut().cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_path),
            // Nothing loads libraries.
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
        // SAFETY: the object is complete, and is never freed nor changed by us.
        match unsafe { ffi::sqlite3_vfs_register(vfs, 0) } {
            ffi::SQLITE_OK => Ok(Self(vfs)),
            code => Err(refused(&format!("code {code}"))),
        }
    }

    pub(super) fn is_registered(&self) -> bool {
        // SAFETY: the name is a C string that is never freed.
        unsafe { ffi::sqlite3_vfs_find((*self.0).zName) == self.0 }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: it was registered by `new`; SQLite only takes it off its list.
        unsafe { ffi::sqlite3_vfs_unregister(self.0) };
    }
}

/// The disk of a VFS of ours.
///
/// # Safety
/// `vfs` has to be one that [`Registered::new`] made.
unsafe fn disk_of(vfs: *mut ffi::sqlite3_vfs) -> &'static Disk {
    // SAFETY: `new` puts a leaked disk there.
    unsafe { &*(*vfs).pAppData.cast::<Disk>() }
}

/// The number of a file of ours.
///
/// # Safety
/// `file` has to be one that [`open`] opened.
unsafe fn number_of(file: *mut ffi::sqlite3_file) -> u64 {
    // SAFETY: as in `parts`.
    unsafe { (*file.cast::<File>()).number }
}

/// A file of ours and the system's behind it.
///
/// # Safety
/// `file` has to be one that [`open`] opened.
unsafe fn parts(file: *mut ffi::sqlite3_file) -> (&'static Disk, u64, *mut ffi::sqlite3_file) {
    let file = file.cast::<File>();
    // SAFETY: `open` wrote a `File` there, and SQLite allocated `szOsFile` bytes, which hold the system's file behind it.
    unsafe { ((*file).disk, (*file).life, file.add(1).cast()) }
}

/// Calls a method of the system's file; `$code` where it has none.
macro_rules! hand_on {
    ($real:expr, $method:ident, $code:expr $(, $argument:expr)*) => {{
        let real = $real;
        // SAFETY: the file was opened by the system's VFS, which set its methods; they get the file that is theirs, and
        // the other arguments as SQLite gave them.
        unsafe {
            match (*real).pMethods.as_ref().and_then(|methods| methods.$method) {
                Some(method) => method(real $(, $argument)*),
                None => $code,
            }
        }
    }};
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
        (state.on_open(), state.life, state.read_only)
    };
    // SAFETY: SQLite gives `szOsFile` bytes, aligned to 8 as all that it allocates. Without methods SQLite does not close
    // the file.
    unsafe { (*file).pMethods = ptr::null() };
    if let Verdict::Fail(code) = verdict {
        return code;
    }
    let mut flags = flags;
    if read_only && flags & ffi::SQLITE_OPEN_READWRITE != 0 {
        // As the system's VFS does on a file system that cannot be written.
        if flags & ffi::SQLITE_OPEN_MAIN_DB == 0 {
            return ffi::SQLITE_CANTOPEN;
        }
        flags &= !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE);
        flags |= ffi::SQLITE_OPEN_READONLY;
    }
    let Some(System(system)) = system() else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: behind our file there is room for the system's; see `szOsFile`.
    let real: *mut ffi::sqlite3_file = unsafe { file.cast::<File>().add(1).cast() };
    // SAFETY: the system's VFS gets itself, its own file, and what SQLite gave.
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
                // SAFETY: SQLite gives a C string, or null for a temporary file.
                let path = unsafe { CStr::from_ptr(name) };
                state.files.insert(number, PathBuf::from(OsStr::from_bytes(path.to_bytes())));
            }
            number
        };
        let base = ffi::sqlite3_file { pMethods: &raw const METHODS };
        // SAFETY: there is room for a `File`, which holds no value that would have to be dropped.
        unsafe { file.cast::<File>().write(File { base, disk, life, number }) };
    }
    code
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite calls this with the VFS that it was registered with.
    let disk = unsafe { disk_of(vfs) };
    if let Verdict::Fail(code) = disk.lock().on_delete() {
        return code;
    }
    let _ = sync;
    if !name.is_null() {
        // SAFETY: SQLite gives a C string.
        let path = unsafe { CStr::from_ptr(name) };
        disk.lock().deleted(Path::new(OsStr::from_bytes(path.to_bytes())));
    }
    match system() {
        // SAFETY: the system's VFS gets itself and the name. The folder is not synced.
        Some(System(system)) => unsafe {
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
    match system() {
        // SAFETY: the system's VFS gets itself and what SQLite gave.
        Some(System(system)) => unsafe {
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
    match system() {
        // SAFETY: the system's VFS gets itself and what SQLite gave; both have the same longest path.
        Some(System(system)) => unsafe {
            (*system).xFullPathname.map_or(ffi::SQLITE_CANTOPEN, |path| path(system, name, length, out))
        },
        None => ffi::SQLITE_CANTOPEN,
    }
}

unsafe extern "C" fn randomness(_vfs: *mut ffi::sqlite3_vfs, length: c_int, out: *mut c_char) -> c_int {
    match system() {
        // SAFETY: the system's VFS gets itself and what SQLite gave.
        Some(System(system)) => unsafe { (*system).xRandomness.map_or(0, |random| random(system, length, out)) },
        None => 0,
    }
}

/// Nobody is waited for in a simulation.
unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

unsafe extern "C" fn time(_vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    match system() {
        // SAFETY: the system's VFS gets itself and what SQLite gave.
        Some(System(system)) => unsafe { (*system).xCurrentTime.map_or(ffi::SQLITE_ERROR, |time| time(system, out)) },
        None => ffi::SQLITE_ERROR,
    }
}

unsafe extern "C" fn time_int(_vfs: *mut ffi::sqlite3_vfs, out: *mut ffi::sqlite3_int64) -> c_int {
    match system() {
        // SAFETY: the system's VFS gets itself and what SQLite gave; the unix VFS has version 2 and later.
        Some(System(system)) => unsafe {
            (*system).xCurrentTimeInt64.map_or(ffi::SQLITE_ERROR, |time| time(system, out))
        },
        None => ffi::SQLITE_ERROR,
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Without memory-mapped files, whose reads would not be seen here.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite calls methods with the files that they belong to; so below.
    let (_, _, real) = unsafe { parts(file) };
    // A dead process has its files closed by the system.
    hand_on!(real, xClose, ffi::SQLITE_OK)
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, length: c_int, offset: i64) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { parts(file) };
    let verdict = disk.lock().on_read(life);
    if let Verdict::Fail(code) = verdict {
        return code;
    }
    let code = hand_on!(real, xRead, ffi::SQLITE_IOERR_READ, to, length, offset);
    if let (Verdict::Flip(bit), ffi::SQLITE_OK, Ok(length @ 1..)) = (verdict, code, u64::try_from(length)) {
        let bit = bit % (length * 8);
        if let Ok(byte) = usize::try_from(bit / 8) {
            // SAFETY: SQLite gave `length` bytes to write to, and `byte` is less.
            unsafe { *to.cast::<u8>().add(byte) ^= 1 << (bit % 8) };
        }
    }
    code
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, length: c_int, offset: i64) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { parts(file) };
    // The lock is given back before the system's call.
    let (verdict, loses) = {
        let mut state = disk.lock();
        (state.on_write(life), state.unsynced.is_some())
    };
    if loses && !matches!(verdict, Verdict::Fail(_)) {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        // What lies past the end is filled with zeros.
        hand_on!(real, xRead, ffi::SQLITE_IOERR_READ, bytes.as_mut_ptr().cast(), length, offset);
        // SAFETY: as in `close`.
        let number = unsafe { number_of(file) };
        if let (Some(writes), Ok(offset)) = (&mut disk.lock().unsynced, u64::try_from(offset)) {
            writes.push(Overwritten { file: number, offset, bytes });
        }
    }
    match verdict {
        Verdict::Fail(code) => code,
        Verdict::Torn(part, code) => {
            let some = i64::from(length) * i64::from(part) / 256;
            if let Ok(some @ 1..) = c_int::try_from(some) {
                hand_on!(real, xWrite, code, from, some, offset);
            }
            code
        }
        Verdict::Go | Verdict::Flip(_) => hand_on!(real, xWrite, ffi::SQLITE_IOERR_WRITE, from, length, offset),
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { parts(file) };
    // SAFETY: as in `close`.
    let number = unsafe { number_of(file) };
    let verdict = disk.lock().on_truncate(life);
    match verdict {
        Verdict::Fail(code) => code,
        _ => {
            disk.lock().cut(number, u64::try_from(size).unwrap_or(0));
            hand_on!(real, xTruncate, ffi::SQLITE_IOERR_TRUNCATE, size)
        }
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, _) = unsafe { parts(file) };
    // SAFETY: as in `close`.
    let number = unsafe { number_of(file) };
    let mut state = disk.lock();
    match state.on_sync(life) {
        Verdict::Fail(code) => code,
        // The page cache outlives a simulated process; what is written here survives a loss of power as well.
        _ => {
            state.synced(number);
            ffi::SQLITE_OK
        }
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { parts(file) };
    if disk.lock().gone(life) {
        return ffi::SQLITE_IOERR_FSTAT;
    }
    hand_on!(real, xFileSize, ffi::SQLITE_IOERR_FSTAT, out)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { parts(file) };
    let verdict = disk.lock().on_lock(life);
    match verdict {
        Verdict::Fail(code) => code,
        _ => hand_on!(real, xLock, ffi::SQLITE_OK, level),
    }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: as in `close`.
    let (_, _, real) = unsafe { parts(file) };
    // Also when dead: the system gives the locks of a dead process back.
    hand_on!(real, xUnlock, ffi::SQLITE_OK, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { parts(file) };
    if disk.lock().gone(life) {
        return ffi::SQLITE_IOERR_CHECKRESERVEDLOCK;
    }
    hand_on!(real, xCheckReservedLock, ffi::SQLITE_IOERR_CHECKRESERVEDLOCK, out)
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { parts(file) };
    if disk.lock().gone(life) {
        return ffi::SQLITE_NOTFOUND;
    }
    hand_on!(real, xFileControl, ffi::SQLITE_NOTFOUND, operation, argument)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as in `close`.
    let (_, _, real) = unsafe { parts(file) };
    hand_on!(real, xSectorSize, 4096)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as in `close`.
    let (_, _, real) = unsafe { parts(file) };
    hand_on!(real, xDeviceCharacteristics, 0)
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { parts(file) };
    if disk.lock().gone(life) {
        return ffi::SQLITE_IOERR_SHMMAP;
    }
    hand_on!(real, xShmMap, ffi::SQLITE_IOERR_SHMMAP, region, size, extend, out)
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { parts(file) };
    if flags & ffi::SQLITE_SHM_LOCK != 0 {
        let verdict = disk.lock().on_lock(life);
        if let Verdict::Fail(code) = verdict {
            return code;
        }
    }
    hand_on!(real, xShmLock, ffi::SQLITE_IOERR_SHMLOCK, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: as in `close`.
    let (_, _, real) = unsafe { parts(file) };
    hand_on!(real, xShmBarrier, ());
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { parts(file) };
    // A dead process deletes nothing.
    let delete = if disk.lock().gone(life) { 0 } else { delete };
    hand_on!(real, xShmUnmap, ffi::SQLITE_OK, delete)
}
