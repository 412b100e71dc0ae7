//! What is said beside a committed offset: which bundle holds what belongs to it, and which record was read last. Pure. Refuses
//! texts that it did not make.

use std::fmt;
use std::str::FromStr;

use weir_collect::LastRecord;

/// The text beside an offset: `v1|<partitions>|<bundle>`, or `v2|<partitions>|<bundle>|<last record>`, ASCII, far below the 4096
/// bytes that brokers take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// How many partitions the topic had when the first place to read from was decided: those that came later begin at their
    /// beginning.
    pub(crate) partitions: i32,
    /// The bundle, if the plan remembers anything.
    pub(crate) bundle: Option<String>,
    /// The last record that was read, if any was. A topic that was made anew has another one there.
    pub(crate) last: Option<LastRecord>,
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bundle = self.bundle.as_deref().unwrap_or("-");
        match self.last {
            None => write!(formatter, "v1|{}|{bundle}", self.partitions),
            Some(last) => write!(formatter, "v2|{}|{bundle}|{}", self.partitions, last.token()),
        }
    }
}

impl FromStr for Mark {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.splitn(4, '|').collect();
        let (partitions, bundle, last) = match parts[..] {
            ["v1", partitions, bundle] => (partitions, bundle, None),
            ["v2", partitions, bundle, last] => (partitions, bundle, Some(LastRecord::from_token(last).ok_or(())?)),
            _ => return Err(()),
        };
        let bundle = (bundle != "-").then(|| bundle.to_owned());
        Ok(Self { partitions: partitions.parse().map_err(|_| ())?, bundle, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is() {
        for bundle in [None, Some("00000000000000000003-01JD0000000000000000000000".to_owned())] {
            for last in [None, Some(LastRecord::new(u64::MAX, i64::MIN, u64::MAX))] {
                let mark = Mark { partitions: 12, bundle: bundle.clone(), last };
                assert_eq!(mark.to_string().parse(), Ok(mark.clone()));
                assert!(mark.to_string().len() < 300);
            }
        }
        for other in ["", "v2|1|-", "v2|1|-|7", "v1|x|-", "v1|1", "v1|1|-|", "{\"seq\":1}"] {
            assert_eq!(other.parse::<Mark>(), Err(()), "{other}");
        }
    }
}
