//! A file of the VFS, and its methods in SQLite's C interface (<https://sqlite.org/c3ref/io_methods.html>).

use std::{
    ffi::{c_int, c_void},
    mem::{align_of, size_of},
};

use rusqlite::ffi;

use super::disk_state::{CallOutcome, SharedDisk, UndoRecord};

/// A file of this VFS. The system's file follows it, so its size must be a multiple of SQLite's alignment, 8.
#[repr(C)]
pub(super) struct VfsFile {
    /// The part that SQLite uses; it must be the first field.
    pub(super) base: ffi::sqlite3_file,
    pub(super) disk: &'static SharedDisk,
    /// The process that opened it.
    pub(super) process_epoch: u64,
    /// Number of the file in the order of opening.
    pub(super) number: u64,
}

const _: () = assert!(size_of::<VfsFile>().is_multiple_of(8) && align_of::<VfsFile>() <= 8);

/// The number of a file of this VFS.
///
/// # Safety
/// `file` must be one that the VFS opened.
unsafe fn number_of(file: *mut ffi::sqlite3_file) -> u64 {
    // SAFETY: as in `file_parts`.
    unsafe { (*file.cast::<VfsFile>()).number }
}

/// A file of this VFS, and the system's file behind it.
///
/// # Safety
/// `file` must be one that the VFS opened.
unsafe fn file_parts(file: *mut ffi::sqlite3_file) -> (&'static SharedDisk, u64, *mut ffi::sqlite3_file) {
    let file = file.cast::<VfsFile>();
    // SAFETY: the VFS wrote a `VfsFile` there, and SQLite allocated `szOsFile` bytes, which include the system's file
    // behind it.
    unsafe { ((*file).disk, (*file).process_epoch, file.add(1).cast()) }
}

/// Calls a method of the system's file. Evaluates to `$code` if the file does not have that method.
macro_rules! forward_call {
    ($real:expr, $method:ident, $code:expr $(, $argument:expr)*) => {{
        let real = $real;
        // SAFETY: the file was opened by the system's VFS, which set its methods; they get their own file, and the
        // other arguments as SQLite passed them.
        unsafe {
            match (*real).pMethods.as_ref().and_then(|methods| methods.$method) {
                Some(method) => method(real $(, $argument)*),
                None => $code,
            }
        }
    }};
}

/// The methods of a [`VfsFile`].
pub(super) static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Without memory-mapped files, whose reads would bypass this layer.
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
    // SAFETY: SQLite calls methods with the files that they belong to; the same holds below.
    let (_, _, real) = unsafe { file_parts(file) };
    // The operating system closes the files of a dead process.
    forward_call!(real, xClose, ffi::SQLITE_OK)
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, length: c_int, offset: i64) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { file_parts(file) };
    let verdict = disk.lock().on_read(life);
    if let CallOutcome::Fail(code) = verdict {
        return code;
    }
    let code = forward_call!(real, xRead, ffi::SQLITE_IOERR_READ, to, length, offset);
    if let (CallOutcome::FlipBit(bit), ffi::SQLITE_OK, Ok(length @ 1..)) = (verdict, code, u64::try_from(length)) {
        let bit = bit % (length * 8);
        if let Ok(byte) = usize::try_from(bit / 8) {
            // SAFETY: SQLite passed a buffer of `length` bytes, and `byte` is less.
            unsafe { *to.cast::<u8>().add(byte) ^= 1 << (bit % 8) };
        }
    }
    code
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, length: c_int, offset: i64) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { file_parts(file) };
    // The lock is released before the system's call.
    let (verdict, loses_power) = {
        let mut state = disk.lock();
        (state.on_write(life), state.unsynced.is_some())
    };
    if loses_power && !matches!(verdict, CallOutcome::Fail(_)) {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        // Bytes past the end of the file are filled with zeros.
        forward_call!(real, xRead, ffi::SQLITE_IOERR_READ, bytes.as_mut_ptr().cast(), length, offset);
        // SAFETY: as in `close`.
        let number = unsafe { number_of(file) };
        if let (Some(writes), Ok(offset)) = (&mut disk.lock().unsynced, u64::try_from(offset)) {
            writes.push(UndoRecord { file: number, offset, bytes });
        }
    }
    match verdict {
        CallOutcome::Fail(code) => code,
        CallOutcome::Torn(part, code) => {
            let torn_length = i64::from(length) * i64::from(part) / 256;
            if let Ok(torn_length @ 1..) = c_int::try_from(torn_length) {
                forward_call!(real, xWrite, code, from, torn_length, offset);
            }
            code
        }
        CallOutcome::Proceed | CallOutcome::FlipBit(_) => {
            forward_call!(real, xWrite, ffi::SQLITE_IOERR_WRITE, from, length, offset)
        }
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { file_parts(file) };
    // SAFETY: as in `close`.
    let number = unsafe { number_of(file) };
    let verdict = disk.lock().on_truncate(life);
    match verdict {
        CallOutcome::Fail(code) => code,
        _ => {
            disk.lock().on_truncated(number, u64::try_from(size).unwrap_or(0));
            forward_call!(real, xTruncate, ffi::SQLITE_IOERR_TRUNCATE, size)
        }
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, _) = unsafe { file_parts(file) };
    // SAFETY: as in `close`.
    let number = unsafe { number_of(file) };
    let mut state = disk.lock();
    match state.on_sync(life) {
        CallOutcome::Fail(code) => code,
        // The page cache outlives a simulated process, so data written here also survives a simulated power loss.
        _ => {
            state.mark_synced(number);
            ffi::SQLITE_OK
        }
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { file_parts(file) };
    if disk.lock().is_dead_process(life) {
        return ffi::SQLITE_IOERR_FSTAT;
    }
    forward_call!(real, xFileSize, ffi::SQLITE_IOERR_FSTAT, out)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { file_parts(file) };
    let verdict = disk.lock().on_lock(life);
    match verdict {
        CallOutcome::Fail(code) => code,
        _ => forward_call!(real, xLock, ffi::SQLITE_OK, level),
    }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: as in `close`.
    let (_, _, real) = unsafe { file_parts(file) };
    // Also when dead: the operating system releases the locks of a dead process.
    forward_call!(real, xUnlock, ffi::SQLITE_OK, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { file_parts(file) };
    if disk.lock().is_dead_process(life) {
        return ffi::SQLITE_IOERR_CHECKRESERVEDLOCK;
    }
    forward_call!(real, xCheckReservedLock, ffi::SQLITE_IOERR_CHECKRESERVEDLOCK, out)
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { file_parts(file) };
    if disk.lock().is_dead_process(life) {
        return ffi::SQLITE_NOTFOUND;
    }
    forward_call!(real, xFileControl, ffi::SQLITE_NOTFOUND, operation, argument)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as in `close`.
    let (_, _, real) = unsafe { file_parts(file) };
    forward_call!(real, xSectorSize, 4096)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as in `close`.
    let (_, _, real) = unsafe { file_parts(file) };
    forward_call!(real, xDeviceCharacteristics, 0)
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { file_parts(file) };
    if disk.lock().is_dead_process(life) {
        return ffi::SQLITE_IOERR_SHMMAP;
    }
    forward_call!(real, xShmMap, ffi::SQLITE_IOERR_SHMMAP, region, size, extend, out)
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { file_parts(file) };
    if flags & ffi::SQLITE_SHM_LOCK != 0 {
        let verdict = disk.lock().on_lock(life);
        if let CallOutcome::Fail(code) = verdict {
            return code;
        }
    }
    forward_call!(real, xShmLock, ffi::SQLITE_IOERR_SHMLOCK, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: as in `close`.
    let (_, _, real) = unsafe { file_parts(file) };
    forward_call!(real, xShmBarrier, ());
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: as in `close`.
    let (disk, life, real) = unsafe { file_parts(file) };
    // A dead process deletes nothing.
    let delete = if disk.lock().is_dead_process(life) { 0 } else { delete };
    forward_call!(real, xShmUnmap, ffi::SQLITE_OK, delete)
}
