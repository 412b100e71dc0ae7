use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array};
use expect_test::expect;

use super::*;

/// Output that a test can look at; flushed bytes only.
#[derive(Clone, Default)]
struct Screen {
    written: Arc<Mutex<Vec<u8>>>,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.written.lock().expect("one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.shown.lock().expect("one thread").append(&mut self.written.lock().expect("one thread"));
        Ok(())
    }
}

async fn shown(format: StdoutFormat) -> String {
    let screen = Screen::default();
    let mut sink = StdoutSink::writing(&StdoutOutput { format }, Box::new(screen.clone()));
    let rows = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).expect("rows");
    sink.write(&rows).await.expect("it is written");
    assert_eq!(sink.prepare(Epoch(1)).await.expect("it is shown"), Prepared::default());
    let bytes = screen.shown.lock().expect("one thread").clone();
    String::from_utf8(bytes).expect("it is text")
}

#[tokio::test]
async fn rows_are_shown_when_the_epoch_is_prepared() {
    assert_eq!(shown(StdoutFormat::Ndjson).await, "{\"n\":1}\n{\"n\":2}\n");
    expect![[r#"
        +---+
        | n |
        +---+
        | 1 |
        | 2 |
        +---+
    "#]]
    .assert_eq(&shown(StdoutFormat::Text).await);
}

#[tokio::test]
async fn a_reader_that_is_gone_closes_the_output() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(IoErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut sink = StdoutSink::writing(&StdoutOutput::default(), Box::new(Gone));
    let rows = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).expect("rows");
    let error = sink.write(&rows).await.expect_err("nobody reads");
    assert_eq!(error.kind, ErrorKind::Closed);
}
