//! Objects in a bucket as somebody looks at them whom they do not belong to: copies on this disk are used, and nothing is
//! written, here or there.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use weir_model::{ErrorKind, SeamError, SeamResult};

use super::Objects;
use super::client::BucketClient;
use super::folder::FolderObjects;
use super::remote::{check_name, listed, of};
use crate::object::damaged;

/// Objects that are only read.
#[derive(Debug)]
pub(crate) struct ReadObjects {
    bucket: BucketClient,
    /// Copies of some of them.
    copies: FolderObjects,
    /// Those whose copies are damaged.
    passed_by: Mutex<BTreeSet<String>>,
}

impl ReadObjects {
    pub(crate) fn new(bucket: BucketClient, copies: FolderObjects) -> Self {
        Self { bucket, copies, passed_by: Mutex::default() }
    }

    fn passed_by(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.passed_by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_copied(&self, name: &str) -> bool {
        self.copies.has(name) && !self.passed_by().contains(name)
    }

    fn missing(&self, name: &str) -> SeamError {
        damaged(&self.shown(name), "it is not there")
    }

    fn refused(&self, name: &str) -> SeamError {
        SeamError::new(ErrorKind::Closed, format!("{} is only looked at", self.shown(name)))
    }
}

impl Objects for ReadObjects {
    fn put(&self, name: &str, _: Vec<u8>) -> SeamResult<u64> {
        Err(self.refused(name))
    }

    fn len(&self, name: &str) -> SeamResult<u64> {
        check_name(&self.bucket, name)?;
        if self.is_copied(name) {
            return self.copies.len(name);
        }
        self.bucket.look_at(&of(name))?.map(|(bytes, _)| bytes).ok_or_else(|| self.missing(name))
    }

    fn read(&self, name: &str, offset: u64, bytes: u64) -> SeamResult<Vec<u8>> {
        check_name(&self.bucket, name)?;
        if self.is_copied(name) {
            return self.copies.read(name, offset, bytes);
        }
        let read = self.bucket.read_range(&of(name), offset, bytes)?.ok_or_else(|| self.missing(name))?;
        if read.len() as u64 == bytes {
            Ok(read.into())
        } else {
            Err(damaged(&self.shown(name), format!("it ends before byte {}", offset + bytes)))
        }
    }

    fn forget_copy(&self, name: &str) -> SeamResult<bool> {
        if !self.is_copied(name) {
            return Ok(false);
        }
        check_name(&self.bucket, name)?;
        let is_there = self.bucket.look_at(&of(name))?.is_some();
        Ok(is_there && self.passed_by().insert(name.to_owned()))
    }

    fn names(&self) -> SeamResult<BTreeSet<String>> {
        listed(&self.bucket)
    }

    fn remove(&self, name: &str) -> SeamResult<u64> {
        Err(self.refused(name))
    }

    fn set_aside(&self, name: &str) -> SeamResult<Option<String>> {
        Err(self.refused(name))
    }

    fn shown(&self, name: &str) -> String {
        self.bucket.shown(&of(name))
    }
}
