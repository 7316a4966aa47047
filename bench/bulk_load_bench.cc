// RocksDB's own bulk load of the pairs of a store: what a rebuild of the store is compared with. Prints JSON.
// Arguments: the store's directory (of a stopped server), a scratch directory.
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

void check(const rocksdb::Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, status.ToString().c_str());
  std::exit(1);
}

std::unique_ptr<rocksdb::DB> open(const std::string& path, const rocksdb::Options& options, bool read_only) {
  rocksdb::DB* db = nullptr;
  check(read_only ? rocksdb::DB::OpenForReadOnly(options, path, &db) : rocksdb::DB::Open(options, path, &db),
        path.c_str());
  return std::unique_ptr<rocksdb::DB>(db);
}

template <typename Load>
double seconds(Load&& load) {
  const auto begin = std::chrono::steady_clock::now();
  load();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Options::PrepareForBulkLoad(), pairs as they come, one compaction at the end.
void load_unsorted(const Pairs& pairs, const std::string& path) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.PrepareForBulkLoad();
  options.compression = rocksdb::kLZ4Compression;
  const auto db = open(path, options, false);
  rocksdb::WriteOptions write;
  write.disableWAL = true;
  rocksdb::WriteBatch batch;
  for (const auto& [key, value] : pairs) {
    batch.Put(key, value);
    if (batch.GetDataSize() > (1u << 20)) {
      check(db->Write(write, &batch), "write");
      batch.Clear();
    }
  }
  check(db->Write(write, &batch), "write");
  check(db->Flush(rocksdb::FlushOptions()), "flush");
  check(db->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr), "compact");
}

// Sorted into one file, which is ingested.
void load_sorted(Pairs& pairs, const std::string& path) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kLZ4Compression;
  const auto db = open(path, options, false);
  std::sort(pairs.begin(), pairs.end());
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options);
  const std::string file = path + ".sst";
  check(writer.Open(file), "open");
  for (const auto& [key, value] : pairs) check(writer.Put(key, value), "put");
  check(writer.Finish(), "finish");
  rocksdb::IngestExternalFileOptions ingest;
  ingest.move_files = true;
  check(db->IngestExternalFile({file}, ingest), "ingest");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bulk_load_bench STORE SCRATCH\n");
    return 2;
  }
  const std::string scratch = argv[2];
  Pairs pairs;
  std::size_t bytes = 0;
  {
    const auto db = open(argv[1], rocksdb::Options(), true);
    const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions()));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      pairs.emplace_back(at->key().ToString(), at->value().ToString());
      bytes += pairs.back().first.size() + pairs.back().second.size();
    }
    check(at->status(), "read");
  }
  // In an order that is not the keys', as agents are touched.
  const auto hash = [](const std::string& key) { return std::hash<std::string>{}(key); };
  std::sort(pairs.begin(), pairs.end(),
            [&](const auto& a, const auto& b) { return hash(a.first) < hash(b.first); });
  const double unsorted = seconds([&] { load_unsorted(pairs, scratch + "/unsorted"); });
  const double sorted = seconds([&] { load_sorted(pairs, scratch + "/sorted"); });
  std::printf(
      "{\"bench\":\"bulk_load\",\"pairs\":%zu,\"bytes\":%zu,\"bulk_load_seconds\":%.2f,\"sst_ingest_"
      "seconds\":%.2f}\n",
      pairs.size(), bytes, unsorted, sorted);
  std::filesystem::remove_all(scratch + "/unsorted");
  std::filesystem::remove_all(scratch + "/sorted");
  return 0;
}
