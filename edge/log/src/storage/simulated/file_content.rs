//! The content of a simulated file: in the page cache and on the disk.

use std::collections::BTreeMap;

/// A change of a file since its last sync.
#[derive(Clone, Debug)]
enum Change {
    Bytes { at: usize, bytes: Vec<u8> },
    Length(usize),
}

/// A file's content.
#[derive(Clone, Debug)]
pub(super) struct FileContent {
    page_size: usize,
    /// What a process reads: the page cache.
    cached: Vec<u8>,
    /// What the disk contains.
    durable: Vec<u8>,
    changes: Vec<Change>,
    /// Content of the dirty pages before the first of `changes`.
    dirty: BTreeMap<usize, Vec<u8>>,
    /// Length before the first of `changes`.
    length_before: usize,
}

impl FileContent {
    pub(super) fn new(page: usize) -> Self {
        let page = page.max(8);
        Self {
            page_size: page,
            cached: Vec::new(),
            durable: Vec::new(),
            changes: Vec::new(),
            dirty: BTreeMap::new(),
            length_before: 0,
        }
    }

    pub(super) fn cached(&self) -> &[u8] {
        &self.cached
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.changes.is_empty()
    }

    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        self.save_dirty_pages(at.min(self.cached.len()), end);
        if self.cached.len() < end {
            self.cached.resize(end, 0);
        }
        self.cached[at..end].copy_from_slice(bytes);
        self.changes.push(Change::Bytes { at, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, length: usize) {
        let old = self.cached.len();
        self.save_dirty_pages(length.min(old), old.max(length));
        self.cached.resize(length, 0);
        self.changes.push(Change::Length(length));
    }

    /// Saves the content of the pages from `from` to `to` before they are changed.
    fn save_dirty_pages(&mut self, from: usize, to: usize) {
        if self.changes.is_empty() {
            self.length_before = self.cached.len();
        }
        for page in from / self.page_size..to.div_ceil(self.page_size) {
            if !self.dirty.contains_key(&page) {
                let before = read_page(&self.cached, page, self.page_size);
                self.dirty.insert(page, before);
            }
        }
    }

    /// Writes all dirty pages to the disk.
    pub(super) fn sync(&mut self) {
        self.durable.resize(self.cached.len(), 0);
        for page in std::mem::take(&mut self.dirty).into_keys() {
            let content = read_page(&self.cached, page, self.page_size);
            write_page(&mut self.durable, page, self.page_size, &content);
        }
        self.changes.clear();
    }

    /// Behaves as Linux does: some pages reach the disk, the others do not, and all of them count as clean from now on.
    /// Processes still read them until power is lost.
    pub(super) fn fail_sync(&mut self, mut random: impl FnMut() -> u64) {
        for page in std::mem::take(&mut self.dirty).into_keys() {
            if random() & 1 == 0 {
                let content = read_page(&self.cached, page, self.page_size);
                let end = ((page + 1) * self.page_size).min(self.cached.len());
                if self.durable.len() < end {
                    self.durable.resize(end, 0);
                }
                write_page(&mut self.durable, page, self.page_size, &content);
            }
        }
        self.changes.clear();
    }

    /// Power is lost. For each dirty page, the disk has its version after any of the changes, or a part of that
    /// version. The length is that after any of the changes.
    pub(super) fn lose_power(&mut self, mut random: impl FnMut() -> u64) {
        let choices = self.changes.len() as u64 + 1;
        let mut length = self.durable.len();
        if self.is_dirty() {
            let applied = usize::try_from(random() % choices).unwrap_or(0);
            if applied > 0 {
                length = self.length_before;
                for change in self.changes.iter().take(applied) {
                    length = match change {
                        Change::Bytes { at, bytes } => length.max(at + bytes.len()),
                        Change::Length(length) => *length,
                    };
                }
            }
        }
        let mut content = self.durable.clone();
        content.resize(length, 0);
        for (&page, before) in &self.dirty {
            let applied = usize::try_from(random() % choices).unwrap_or(0);
            if applied == 0 {
                continue;
            }
            let mut version = before.clone();
            for change in self.changes.iter().take(applied) {
                self.apply_to_page(&mut version, page, change);
            }
            // A quarter of the pages is torn within the page.
            if random().is_multiple_of(4) {
                let kept = usize::try_from(random() % 4).unwrap_or(0) * (self.page_size / 4);
                let old = read_page(&self.durable, page, self.page_size);
                version[kept..].copy_from_slice(&old[kept..]);
            }
            write_page(&mut content, page, self.page_size, &version);
        }
        self.cached.clone_from(&content);
        self.durable = content;
        self.changes.clear();
        self.dirty.clear();
    }

    fn apply_to_page(&self, version: &mut [u8], page: usize, change: &Change) {
        let begins = page * self.page_size;
        match change {
            Change::Bytes { at, bytes } => {
                let from = begins.max(*at);
                let to = (begins + self.page_size).min(at + bytes.len());
                if from < to {
                    version[from - begins..to - begins].copy_from_slice(&bytes[from - at..to - at]);
                }
            }
            Change::Length(length) => {
                let kept = length.saturating_sub(begins).min(self.page_size);
                version[kept..].fill(0);
            }
        }
    }

    /// Flips a bit on the disk and in the page cache, and in the saved version of a dirty page.
    pub(super) fn flip_bit(&mut self, byte: usize, bit: u8) {
        let mask = 1 << (bit % 8);
        let old = self.dirty.get_mut(&(byte / self.page_size)).and_then(|page| page.get_mut(byte % self.page_size));
        for byte in [self.cached.get_mut(byte), self.durable.get_mut(byte), old].into_iter().flatten() {
            *byte ^= mask;
        }
    }

    /// Changes the content on the disk and in the page cache.
    pub(super) fn corrupt(&mut self, change: impl Fn(&mut Vec<u8>)) {
        change(&mut self.cached);
        change(&mut self.durable);
    }
}

fn read_page(bytes: &[u8], page: usize, size: usize) -> Vec<u8> {
    let begins = (page * size).min(bytes.len());
    let ends = (begins + size).min(bytes.len());
    let mut content = bytes[begins..ends].to_vec();
    content.resize(size, 0);
    content
}

/// Writes a page into `bytes`, up to their end.
fn write_page(bytes: &mut [u8], page: usize, size: usize, content: &[u8]) {
    let begins = (page * size).min(bytes.len());
    let ends = (begins + size).min(bytes.len());
    bytes[begins..ends].copy_from_slice(&content[..ends - begins]);
}
