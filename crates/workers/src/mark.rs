//! What is said beside a committed offset: which bundle holds what belongs to it. Pure. Refuses texts that it did not make.

use std::fmt;
use std::str::FromStr;

/// The text beside an offset: `v1|<partitions>|<bundle>`, ASCII, far below the 4096 bytes that brokers take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// How many partitions the topic had when the first place to read from was decided: those that came later begin at their
    /// beginning.
    pub(crate) partitions: i32,
    /// The bundle, if the plan remembers anything.
    pub(crate) bundle: Option<String>,
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "v1|{}|{}", self.partitions, self.bundle.as_deref().unwrap_or("-"))
    }
}

impl FromStr for Mark {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('|');
        let (Some("v1"), Some(partitions), Some(bundle), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        let bundle = (bundle != "-").then(|| bundle.to_owned());
        Ok(Self { partitions: partitions.parse().map_err(|_| ())?, bundle })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is() {
        for bundle in [None, Some("00000000000000000003-01JD0000000000000000000000".to_owned())] {
            let mark = Mark { partitions: 12, bundle };
            assert_eq!(mark.to_string().parse(), Ok(mark.clone()));
            assert!(mark.to_string().len() < 300);
        }
        for other in ["", "v2|1|-", "v1|x|-", "v1|1", "v1|1|-|", "{\"seq\":1}"] {
            assert_eq!(other.parse::<Mark>(), Err(()), "{other}");
        }
    }
}
