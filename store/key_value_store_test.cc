#include "store/key_value_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "store/file_system.h"
#include "store/testing/key_value_store_suite.h"
#include "store/testing/reverting_store.h"

namespace afdg::store {
namespace {

/// Lives as long as the object: reopening is nothing.
class ObjectUnderTest final : public KeyValueStoreUnderTest {
 public:
  explicit ObjectUnderTest(std::unique_ptr<KeyValueStore> store) : store_(std::move(store)) {}
  KeyValueStore& store() override { return *store_; }
  void reopen() override {}

 private:
  std::unique_ptr<KeyValueStore> store_;
};

/// Reopening is a crash right after a flush.
class RevertingUnderTest final : public KeyValueStoreUnderTest {
 public:
  KeyValueStore& store() override { return *handle_; }
  void reopen() override {
    SeededRandom random(1);
    EXPECT_EQ(store_.crash(random), store_.flushed_state());
    handle_ = store_.handle();
  }

 private:
  RevertingStore store_;
  std::unique_ptr<KeyValueStore> handle_ = store_.handle();
};

class RocksUnderTest final : public KeyValueStoreUnderTest {
 public:
  explicit RocksUnderTest(const RocksOptions& options) : options_(options) {
    std::string pattern = testing::TempDir() + "afdg_store_XXXXXX";
    path_ = ::mkdtemp(pattern.data());
    open();
  }
  ~RocksUnderTest() override {
    store_.reset();
    EXPECT_TRUE(destroy_rocks_store(path_).ok());
  }
  KeyValueStore& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    open();
  }

 private:
  void open() {
    auto store = open_rocks_store(path_, options_);
    AFDG_ASSERT(store.ok(), store.status().to_string().c_str());
    store_ = std::move(store).value();
  }

  RocksOptions options_;
  std::string path_;
  std::unique_ptr<KeyValueStore> store_;
};

RocksOptions with_log() {
  RocksOptions options;
  options.write_ahead_log = true;
  return options;
}

RocksOptions in_groups() {
  RocksOptions options;
  options.write_buffer_bytes = 64 << 10;  // files with filters, not only memtables
  options.group_size = [](std::string_view key) -> std::size_t { return key.empty() ? 0 : 1; };
  return options;
}

INSTANTIATE_TEST_SUITE_P(
    Each, KeyValueStoreSuite,
    testing::Values(
        KeyValueStoreCase{"Memory", [] { return std::make_unique<ObjectUnderTest>(make_memory_store()); }},
        KeyValueStoreCase{"Reverting", [] { return std::make_unique<RevertingUnderTest>(); }},
        KeyValueStoreCase{"Rocks", [] { return std::make_unique<RocksUnderTest>(RocksOptions{}); }, 1500},
        KeyValueStoreCase{"RocksInGroups", [] { return std::make_unique<RocksUnderTest>(in_groups()); },
                          1500},
        KeyValueStoreCase{"RocksWithLog", [] { return std::make_unique<RocksUnderTest>(with_log()); }, 500}),
    [](const auto& chosen) { return chosen.param.name; });

}  // namespace
}  // namespace afdg::store
