//! rskafka judges a broker; judge.py says what the tasks are. usage: judge-rskafka HOST:PORT
use chrono::{DateTime, TimeZone, Utc};
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::{Record, RecordAndOffset};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const VERSION: &str = "0.6.0"; // what Cargo.toml pins
/// An hour ago: older records would be taken by retention.
fn start() -> i64 {
    static START: OnceLock<i64> = OnceLock::new();
    *START.get_or_init(|| Utc::now().timestamp_millis() - 3_600_000)
}

type Done = Result<String, Box<dyn std::error::Error + Send + Sync>>;

fn time(index: usize) -> DateTime<Utc> {
    Utc.timestamp_millis_opt(start() + index as i64 * 1000).unwrap()
}

fn records(codec: &str, count: usize) -> Vec<Record> {
    (0..count)
        .map(|index| Record {
            key: Some(format!("key-{}", index % 50).into_bytes()),
            value: Some(format!("{codec}-{index}-{}", "x".repeat(index % 100)).into_bytes()),
            headers: BTreeMap::from([("codec".to_string(), codec.as_bytes().to_vec()), ("n".to_string(), index.to_string().into_bytes())]),
            timestamp: time(index),
        })
        .collect()
}

fn must(holds: bool, what: String) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if holds {
        Ok(())
    } else {
        Err(what.into())
    }
}

struct Judge {
    client: Client,
    topic: String,
    single: String,
    sent: Vec<Record>,
}

impl Judge {
    async fn partition(&self, topic: &str, partition: i32) -> rskafka::client::error::Result<PartitionClient> {
        self.client.partition_client(topic, partition, UnknownTopicHandling::Retry).await
    }

    /// Everything from an offset to the end.
    async fn take(&self, topic: &str, partition: i32, mut offset: i64) -> Result<Vec<RecordAndOffset>, Error> {
        let reader = self.partition(topic, partition).await?;
        let mut out = vec![];
        loop {
            let (some, end) = reader.fetch_records(offset, 1..1_000_000, 500).await?;
            out.extend(some);
            offset = out.last().map_or(offset, |one| one.offset + 1);
            if offset >= end {
                return Ok(out);
            }
        }
    }

    async fn metadata(&mut self) -> Done {
        let topics = self.client.list_topics().await?;
        Ok(if topics.is_empty() { "no topics yet".into() } else { String::new() })
    }

    async fn create(&mut self) -> Done {
        let controller = self.client.controller_client()?;
        controller.create_topic(&self.topic, 3, 1, 5000).await?;
        controller.create_topic(&self.single, 1, 1, 5000).await?;
        match controller.create_topic(&self.topic, 3, 1, 5000).await {
            Err(Error::ServerError { protocol_error: ProtocolError::TopicAlreadyExists, .. }) => {}
            other => return Err(format!("made twice: {other:?}").into()),
        }
        let found = self.client.list_topics().await?.into_iter().find(|one| one.name == self.topic).map(|one| one.partitions.len());
        must(found == Some(3), format!("{found:?} partitions, not 3"))?;
        Ok(String::new())
    }

    async fn produce(&mut self, codec: &str, compression: Compression) -> Done {
        for (index, some) in records(codec, 1000).chunks(334).enumerate() {
            let offsets = self.partition(&self.topic, index as i32).await?.produce(some.to_vec(), compression).await?;
            must(offsets.windows(2).all(|pair| pair[1] == pair[0] + 1) && offsets.len() == some.len(), format!("offsets {offsets:?}"))?;
            self.sent.extend_from_slice(some);
        }
        Ok(String::new())
    }

    async fn consume(&mut self) -> Done {
        let mut found = vec![];
        for partition in 0..3 {
            found.extend(self.take(&self.topic, partition, 0).await?.into_iter().map(|one| one.record));
        }
        let order = |one: &Record| (one.value.clone(), one.timestamp);
        found.sort_by_key(order);
        let mut sent = self.sent.clone();
        sent.sort_by_key(order);
        must(found == sent, format!("{} records came, {} were sent, or some differ", found.len(), sent.len()))?;
        Ok(String::new())
    }

    async fn from_offset(&mut self) -> Done {
        let some = records("offset", 100);
        self.partition(&self.single, 0).await?.produce(some.clone(), Compression::NoCompression).await?;
        let found = self.take(&self.single, 0, 37).await?;
        must(found.iter().map(|one| one.offset).eq(37..100), format!("{} records from 37", found.len()))?;
        must(found.iter().map(|one| &one.record).eq(&some[37..]), "records differ".into())?;
        Ok(String::new())
    }

    async fn from_time(&mut self) -> Done {
        let reader = self.partition(&self.single, 0).await?;
        let at = reader.get_offset(OffsetAt::Timestamp(time(41) + std::time::Duration::from_millis(500))).await?;
        let ends = (reader.get_offset(OffsetAt::Earliest).await?, reader.get_offset(OffsetAt::Latest).await?);
        must((at, ends) == (42, (0, 100)), format!("offset {at}, ends {ends:?}"))?;
        Ok(String::new())
    }

    async fn unknown_topic(&mut self) -> Done {
        match self.client.controller_client()?.delete_topic(format!("{}-none", self.topic), 5000).await {
            Err(Error::ServerError { protocol_error: ProtocolError::UnknownTopicOrPartition, .. }) => Ok("on delete".into()),
            other => Err(format!("{other:?}").into()),
        }
    }

    async fn delete_records(&mut self) -> Done {
        let reader = self.partition(&self.single, 0).await?;
        reader.delete_records(10, 5000).await?;
        let first = reader.get_offset(OffsetAt::Earliest).await?;
        must(first == 10, format!("the start is {first}, not 10"))?;
        Ok(String::new())
    }

    async fn delete(&mut self) -> Done {
        let controller = self.client.controller_client()?;
        controller.delete_topic(&self.topic, 5000).await?;
        controller.delete_topic(&self.single, 5000).await?;
        let end = Instant::now() + Duration::from_secs(10); // Kafka deletes in the background
        loop {
            let left = self.client.list_topics().await?.into_iter().filter(|one| one.name == self.topic || one.name == self.single).count();
            if left == 0 {
                return Ok(String::new());
            }
            must(Instant::now() < end, format!("{left} topics are left"))?;
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Prints the verdict of a task, and says whether it failed.
async fn judged(task: &str, run: impl Future<Output = Done>) -> bool {
    if std::env::var("JUDGE_TASK").is_ok_and(|only| !only.split(';').any(|one| one == task)) {
        return false;
    }
    let (result, reason) = match tokio::time::timeout(std::time::Duration::from_secs(30), run).await {
        Ok(Ok(remark)) => ("ok", remark),
        Ok(Err(error)) => ("failed", error.to_string().chars().take(400).collect()),
        Err(_) => ("failed", "not within 30 s".to_string()),
    };
    // The client comes first: the script that runs the judges knows its lines by that.
    println!("{{\"client\": \"rskafka\", \"version\": \"{VERSION}\", \"task\": \"{task}\", \"result\": \"{result}\", \"reason\": {}}}", serde_json::json!(reason));
    result == "failed"
}

#[tokio::main]
async fn main() {
    let Some(at) = std::env::args().nth(1) else {
        eprintln!("usage: judge-rskafka HOST:PORT");
        std::process::exit(2);
    };
    let name = format!("judge-rs-{}-{}", std::process::id(), Utc::now().timestamp_subsec_nanos());
    let client = ClientBuilder::new(vec![at]).build().await.expect("the broker answers");
    let mut judge = Judge { client, topic: name.clone(), single: name + "-single", sent: vec![] };
    let mut failed = judged("metadata", judge.metadata()).await;
    failed |= judged("create", judge.create()).await;
    for (task, codec, compression) in [
        ("produce_none", "none", Compression::NoCompression),
        ("produce_gzip", "gzip", Compression::Gzip),
        ("produce_snappy", "snappy", Compression::Snappy),
        ("produce_lz4", "lz4", Compression::Lz4),
        ("produce_zstd", "zstd", Compression::Zstd),
    ] {
        failed |= judged(task, judge.produce(codec, compression)).await;
    }
    failed |= judged("consume", judge.consume()).await;
    failed |= judged("from_offset", judge.from_offset()).await;
    failed |= judged("from_time", judge.from_time()).await;
    failed |= judged("unknown_topic", judge.unknown_topic()).await;
    failed |= judged("delete_records", judge.delete_records()).await;
    failed |= judged("delete", judge.delete()).await;
    std::process::exit(failed.into());
}
