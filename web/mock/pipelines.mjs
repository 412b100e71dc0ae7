// Three pipelines for the mock: one that runs and balances, one whose counts do not, one that waits for an output.

export function pipelines(store, began) {
  const now = Date.now();
  const wave = 4000 + 2500 * Math.sin(now / 4000) + 800 * Math.sin(now / 700);
  const read = 9991 + Math.floor((now - began) / 10);
  const late = 14;
  const rejected = 3;
  const filtered = Math.floor(read * 0.985);
  const open = 22;
  const origins = ['driver-etl', 'executor-etl-0', 'executor-etl-1', 'driver-fail_udf', 'executor-fail_udf-0', 'executor-fail_udf-1', 'driver-streaming', 'executor-streaming-0'];
  const partitions = origins.map((name, i) => ({
    id: `logs/${name}`, origin: `examples/data/spark/classic/${name}.stderr`, rows: 400 + i * 811, rows_per_second: i * 12.5, offset: 48_000 + i * 91_337, end: i < 3 ? 48_100 + i * 91_350 : null, lag: i < 3 ? 100 + i * 13 : null,
    watermark: i === 7 ? null : new Date(now - 12_000 - i * 4100).toISOString(), state: ['reading', 'caught_up', 'idle', 'finished'][i % 4],
  }));
  return [
    {
      name: 'spark-logs', state: 'running', error: null, started_at: new Date(began).toISOString(), rows_per_second: Math.max(0, wave), bytes_per_second: Math.max(0, wave * 187), rows_read: read, bytes_read: read * 187, bytes_total: 4_100_000, state_bytes: 212_340, partitions_total: partitions.length,
      epoch: Math.floor((now - began) / 1000) + 41, last_commit_at: new Date(now - (now % 1000)).toISOString(), watermark: partitions[6].watermark, watermark_holder: partitions[6].id, partitions,
      outputs: [
        { name: 'spark_logs', kind: 'table', guarantee: 'exactly_once', balance: { read, results: read - rejected, filtered: 0, late: 0, rejected, open: 0 }, holds: true },
        { name: 'tagged', kind: 'table', guarantee: 'exactly_once', balance: { read, added: 40, merged: 17, results: read + 40 - 17 - rejected, filtered: 0, late: 0, rejected, open: 0 }, holds: true },
        { name: 'errors_per_minute', kind: 'table', guarantee: 'exactly_once', rows_written: 57, balance: { read, results: read - filtered - late - rejected - open, filtered, late, rejected, open }, holds: true },
      ],
      trouble: [{ at: new Date(now - 61_000).toISOString(), message: '3 records could not be decoded; they are in table dead_letters', times: 3 }],
    },
    {
      name: 'clickstream', state: 'failed', error: 'source clicks: /data/clicks/part-0007.json.gz ends in the middle of a gzip member at byte 1048576; replace the file and start again', started_at: new Date(began - 3_600_000).toISOString(),
      rows_per_second: 0, bytes_per_second: 0, epoch: 3607, last_commit_at: new Date(now - 320_000).toISOString(), watermark: new Date(now - 330_000).toISOString(), watermark_holder: '0',
      partitions: [{ id: 0, origin: '/data/clicks/part-0007.json.gz', rows: 88_212, offset: 1_048_576, watermark: new Date(now - 330_000).toISOString(), state: 'reading' }],
      outputs: [{ name: 'clicks_per_user', kind: 'file', guarantee: 'at_least_once', balance: { read: 88_212, results: 80_000, filtered: 8000, late: 200, rejected: 0, open: 0 }, holds: false }],
      trouble: [],
    },
    {
      name: 'alerts', state: 'running', error: null, started_at: new Date(began - 600_000).toISOString(), rows_per_second: 0, bytes_per_second: 0, epoch: 512, last_commit_at: new Date(now - 95_000).toISOString(),
      watermark: new Date(now - 97_000).toISOString(), watermark_holder: 'in:alerts', partitions: [{ id: 'in:alerts', origin: 'http:alerts', rows: 40, offset: 40, watermark: new Date(now - 97_000).toISOString(), state: 'reading' }],
      outputs: [{ name: 'webhook', kind: 'http', guarantee: 'at_least_once', balance: { read: 40, results: 40, filtered: 0, late: 0, rejected: 0, open: 0 }, holds: true }],
      waiting: [{ output: 'webhook', since: new Date(now - 95_000).toISOString(), next_try: new Date(now + 12_000).toISOString(), failures: 7, error: 'https://hooks.example/alerts answers 503 Service Unavailable: maintenance until noon' }],
      trouble: [],
    },
  ];
}
